import fs from 'node:fs';

/** The parsed JSON of a file under test/golden; tests run in the project's root folder. */
export function golden<T>(name: string): T {
  return JSON.parse(fs.readFileSync(`test/golden/${name}`, 'utf8')) as T;
}
