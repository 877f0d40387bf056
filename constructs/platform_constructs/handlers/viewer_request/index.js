// Runs at CloudFront's edge on every request, before the cache. In front of it, viewer_network.py writes ADMIN_NETWORKS:
// the first and the last address of each network, as numbers. The runtime knows ECMAScript 5.1 and little more:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-javascript-runtime-20.html

// Languages of a request that are told on; more would only splinter the cache.
const MOST_LANGUAGES = 4;

function handler(event) {
  const request = event.request;
  const language = request.headers['accept-language'];
  Object.keys(request.headers).forEach((name) => {
    const lower = name.toLowerCase();
    // Whatever a viewer says of its network, in whatever spelling, goes.
    if (lower === 'x-viewer-network' || lower === 'accept-language') delete request.headers[name];
  });
  request.headers['x-viewer-network'] = { value: isAdmin(event.viewer && event.viewer.ip) ? 'admin' : 'public' };
  const languages = language ? preferred(language.value) : '';
  if (languages) request.headers['accept-language'] = { value: languages };
  return request;
}

function isAdmin(address) {
  const number = ipv4(address);
  return number !== null && ADMIN_NETWORKS.some((network) => network[0] <= number && number <= network[1]);
}

// The number of an IPv4 address as CloudFront writes it, or null: networks are of IPv4, so no other viewer is in one.
function ipv4(address) {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(String(address));
  // Here `$` matches before a line feed at the end too.
  if (parts === null || parts[0] !== address) return null;
  let number = 0;
  for (let index = 1; index <= 4; index += 1) {
    const part = Number(parts[index]);
    if (part > 255) return null;
    number = number * 256 + part;
  }
  return number;
}

// The languages of an Accept-Language header without countries, the most wanted first: `fr-CH, en;q=0.8` and
// `fr,en-GB;q=0.5` ask for the same pages, so they share what is kept.
function preferred(header) {
  const found = [];
  String(header).slice(0, 400).split(',').forEach((item) => {
    const parts = item.trim().toLowerCase().split(';');
    const language = parts[0].trim().split('-')[0];
    const quality = parts.slice(1).map((part) => part.trim()).filter((part) => part.indexOf('q=') === 0)[0];
    const weight = quality === undefined ? 1 : Number(quality.slice(2));
    if (/^[a-z]{2,3}$/.test(language) && weight > 0) found.push({ language: language, weight: weight, at: found.length });
  });
  found.sort((one, other) => other.weight - one.weight || one.at - other.at);
  return found
    .map((each) => each.language)
    .filter((language, index, all) => all.indexOf(language) === index)
    .slice(0, MOST_LANGUAGES)
    .join(',');
}
