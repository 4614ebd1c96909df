/** Templates of the shell: texts with `{{tags}}` in them. */

/**
 * The text with its tags replaced.
 *
 * @param tag what a tag stands for; a tag that it knows nothing of stays as it is
 * @param complain told of braces that are not closed, with their position
 */
export function renderMustache(
  template: string,
  tag: (name: string) => string | undefined,
  complain: (position: number) => void,
): string {
  let result = '';
  let position = 0;
  for (;;) {
    const start = template.indexOf('{{', position);
    if (start < 0) return result + template.slice(position);
    const end = template.indexOf('}}', start + 2);
    if (end < 0) {
      complain(start + 2);
      return result + template.slice(position);
    }
    const name = template.slice(start + 2, end);
    result += template.slice(position, start) + (tag(name) ?? `{{${name}}}`);
    position = end + 2;
  }
}
