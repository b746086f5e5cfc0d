// The same from a page in headless Chromium, with the microphone from a file:
// node browser.mjs PORT SETUP_PORT SERVE_URL MICROPHONE.wav
// A small site of its own serves the page, has a login with a cookie and passes requests on.
import http from 'node:http';
import chromium from '@sparticuz/chromium';
import { build } from 'esbuild';
import puppeteer from 'puppeteer-core';

const [port, setupPort, serveUrl, microphone] = process.argv.slice(2);
const bundle = await build({ entryPoints: ['page.jsx'], bundle: true, write: false, jsx: 'automatic' });
const html = '<!doctype html><div id=root></div><script src=/page.js></script>';
const pages = { '/': ['text/html', html], '/page.js': ['text/javascript', bundle.outputFiles[0].text] };
const passOn = (request, response) => {
  const headers = { ...request.headers, 'x-forwarded-for': request.socket.remoteAddress };
  const options = { host: '127.0.0.1', port: setupPort, path: request.url, method: request.method, headers };
  request.pipe(http.request(options, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  }));
};
const site = http.createServer((request, response) => {
  if (/^\/(api|tools)\//.test(request.url)) return passOn(request, response);
  if (request.url === '/auth') response.statusCode = /session=ok/.test(request.headers.cookie ?? '') ? 204 : 401;
  else if (request.url === '/login') response.setHeader('Set-Cookie', 'session=ok; HttpOnly; SameSite=Lax; Path=/');
  else if (request.url in pages) {
    response.setHeader('Content-Type', pages[request.url][0]);
    return response.end(pages[request.url][1]);
  } else response.statusCode = 404;
  response.end();
});
await new Promise((done) => site.listen(Number(port), 'localhost', done));

const unwanted = /web-security|disable-features|single-process|autoplay/;
const args = [
  ...chromium.args.filter((each) => !unwanted.test(each)),
  '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
  `--use-file-for-fake-audio-capture=${microphone}%noloop`, '--autoplay-policy=no-user-gesture-required',
];
const browser = await puppeteer.launch({ args, executablePath: await chromium.executablePath(), headless: 'shell' });
const page = await browser.newPage();
const until = async (holds, turns = 600) => {
  for (let turn = 0; turn < turns && !(await page.evaluate(holds)); turn += 1) await new Promise((done) => setTimeout(done, 100));
};
const open = async () => {
  await page.goto(`http://localhost:${port}/`);
  await until(() => !!window.session);
  await page.evaluate(() => window.session.connect());
  await until(() => ['error', 'connected'].includes(window.session.status), 300);
  return page.evaluate(() => window.session.status);
};
const found = {};

found.withoutLogin = await open();
await page.goto(`http://localhost:${port}/login`);
found.withLogin = await open();
found.protocols = await page.evaluate(() => window.seen.protocols);

await page.evaluate(() => window.session.sendTextMessage('what is 17 times 23'));
await until(() => (window.seen.counts['response-done'] ?? 0) >= 2);
found.typed = await page.evaluate(() => [window.seen.tools, window.session.messages.slice(-1)]);

await page.evaluate(async () => {
  Object.assign(window.seen, { tools: [], counts: {} });
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  window.session.startAudioCapture(await navigator.mediaDevices.getUserMedia({ audio: plain }));
});
await until(() => (window.seen.counts['response-done'] ?? 0) >= 2);
found.spoken = await page.evaluate(() => [window.seen.tools, window.session.messages.slice(-3)]);
found.errors = await page.evaluate(() => window.seen.errors);
await page.evaluate(() => window.session.disconnect());

const post = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' };
const ask = (credentials) => page.evaluate(async (url, options) => (await fetch(url, options)).status, `http://localhost:${setupPort}/api/realtime/setup`, { ...post, credentials });
found.crossOrigin = [await ask('include'), await ask('omit')];
const other = await browser.newPage();
await other.goto('data:text/html,<p>another page');
found.otherPage = await other.evaluate((url, options) => fetch(url, options).then((answer) => answer.status, () => 'blocked'), `http://localhost:${setupPort}/api/realtime/setup`, { ...post, credentials: 'include' });
found.otherSocket = await other.evaluate((url) => new Promise((done) => {
  const socket = new WebSocket(url, ['realtime', 'openai-insecure-api-key.x']);
  socket.onerror = () => done('refused');
  socket.onopen = () => done('open');
}), serveUrl);
console.log(JSON.stringify(found));
await browser.close();
process.exit(0);
