/**
 * Numbers as C's printf writes them, which Python's `%` and Flux's JSON follow too.
 *
 * JavaScript rounds a decimal that lies exactly between two to the larger one, C to the even one; the rest is layout.
 */

/** No double near 1 has more decimals that matter than this; a half is exact when all of them behind its 5 are 0. */
const EXACT_DIGITS = 30;
/** More digits than this JavaScript does not give. */
const DIGITS_MAX = 100;

/** `%.*f`: a number with `digits` decimals, 0 to 70; `inf`, `-inf` and `nan` for what is none. */
export function formatFixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return nonFinite(value);
  if (Object.is(value, -0)) return `-${formatFixed(0, digits)}`;
  if (Math.abs(value) >= 1e21) return `${BigInt(value)}${digits ? `.${'0'.repeat(digits)}` : ''}`;
  return evenAtHalf(value.toFixed(digits), (more) => value.toFixed(Math.min(digits + more, DIGITS_MAX)));
}

/** `%.*g`: a number with `precision` significant digits, 1 to 70, trailing zeros cut, large and small ones as `1e+06`. */
export function formatGeneral(value: number, precision: number): string {
  if (!Number.isFinite(value)) return nonFinite(value);
  if (Object.is(value, -0)) return '-0';
  const [rounded, exponent] = value.toExponential(precision - 1).split('e') as [string, string];
  const mantissa = evenAtHalf(rounded, (more) => {
    return value.toExponential(Math.min(precision - 1 + more, DIGITS_MAX)).split('e')[0]!;
  });
  const power = Number(exponent);
  if (power < -4 || power >= precision) {
    return `${trimZeros(mantissa)}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  }
  return trimZeros(shiftPoint(mantissa, power));
}

function nonFinite(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  return value > 0 ? 'inf' : '-inf';
}

/** `rounded`, or the even neighbour below it when the number ends there in exactly a half; `digits` gives more of it. */
function evenAtHalf(rounded: string, digits: (more: number) => string): string {
  // All digits cost a microsecond, one more tells nearly always that it is no half.
  if (!digits(1).endsWith('5')) return rounded;
  const exact = digits(EXACT_DIGITS);
  const cut = rounded.includes('.') ? rounded.length : rounded.length + 1;
  const below = exact.slice(0, rounded.length);
  return /^50*$/.test(exact.slice(cut)) && /[02468]$/.test(below) ? below : rounded;
}

function shiftPoint(mantissa: string, power: number): string {
  const sign = mantissa.startsWith('-') ? '-' : '';
  const digits = mantissa.replace(/[-.]/g, '');
  if (power < 0) return `${sign}0.${'0'.repeat(-power - 1)}${digits}`;
  return `${sign}${digits.slice(0, power + 1)}.${digits.slice(power + 1)}`;
}

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0*$/, '') : text;
}
