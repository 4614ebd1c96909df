/** JSON for people to read. */

import { type JsonValue, stringifyJson } from '../core/json.ts';

const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^{}[\],:"]+/g;

/** The JSON text of a value, a member a line, indented; numbers keep their kind and all their digits. */
export function indentJson(value: JsonValue, width = 2): string {
  let indent = '\n';
  let text = '';
  let isEmpty = false;
  for (const [token] of stringifyJson(value).matchAll(tokens)) {
    const closes = token === '}' || token === ']';
    if (closes) indent = indent.slice(0, -width);
    if (closes ? !isEmpty : isEmpty) text += indent;
    isEmpty = token === '{' || token === '[';
    if (isEmpty) indent += ' '.repeat(width);
    text += token;
    if (token === ',') text += indent;
    else if (token === ':') text += ' ';
  }
  return text;
}
