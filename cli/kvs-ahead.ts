/** How many pieces of work are under way at a time, where nothing else is said. */
const AHEAD_MAX = 32;

/** The results of `work` for each item, in the order of the items; the work for some items ahead is begun already. */
export async function* ahead<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => Promise<R>,
  most = AHEAD_MAX,
): AsyncGenerator<R, void, undefined> {
  const begun: Promise<R>[] = [];
  for await (const item of items) {
    const result = work(item);
    // Whoever waits for it gets the error; nobody does when one before it has failed.
    result.catch(() => {});
    begun.push(result);
    if (begun.length >= most) yield await begun.shift()!;
  }
  for (const result of begun) yield await result;
}
