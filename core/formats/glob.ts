/**
 * Shell patterns as fnmatch(3) reads them: `*` any characters, `?` one, `[a-z]` and `[!a-z]` one of a set.
 */

/** The regular expression that matches what a pattern matches. */
export function globToRegExp(pattern: string): RegExp {
  let source = '';
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i]!;
    if (character === '*') source += '.*';
    else if (character === '?') source += '.';
    else if (character === '[') {
      const end = pattern.indexOf(']', pattern[i + 1] === '!' || pattern[i + 1] === '^' ? i + 3 : i + 2);
      if (end < 0) source += '\\[';
      else {
        source += `[${pattern
          .slice(i + 1, end)
          .replace(/^!/, '^')
          .replace(/[[\]\\]/g, '\\$&')}]`;
        i = end;
      }
    } else source += character.replace(/[\\^$.|+(){}\]]/g, '\\$&');
  }
  return new RegExp(`^${source}$`, 's');
}
