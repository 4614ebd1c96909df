/** Base64 (RFC 4648, 4), read strictly. */

/**
 * The bytes that a text in base64 stands for; padding may be missing. Undefined: it is no base64.
 *
 * Node passes over what is no digit, and then there are fewer bytes.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  const digits = text.length - /=*$/.exec(text.slice(-4))![0].length;
  const isWhole = digits % 4 !== 1 && bytes.length === Math.floor((digits * 3) / 4);
  return isWhole && !isUrlSafe(text) ? bytes : undefined;
}

/** Node takes the digits of base64url, too. */
function isUrlSafe(text: string): boolean {
  return text.includes('-') || text.includes('_');
}
