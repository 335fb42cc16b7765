// The page's address: ?as=U0ADA says who, #deployments or #deployments/1700000000.000100 says where.

export const HOME = "app-home";
export const DIRECT = "app-messages";

/** {person, place, thread} of the address bar. */
export function read() {
  const [place = "", thread = null] = decodeURIComponent(location.hash.slice(1)).split("/");
  return { person: new URLSearchParams(location.search).get("as"), place, thread };
}

/** The address of a place, keeping who one is. */
export const address = (place, thread = null) => `#${encodeURIComponent(place)}${thread ? `/${thread}` : ""}`;

/** Becomes another person: a new entry in the browser's history. */
export function become(person) {
  const url = new URL(location.href);
  url.searchParams.set("as", person);
  url.hash = url.hash.split("/")[0];
  history.pushState(null, "", url);
}
