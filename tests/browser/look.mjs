// Opens a report and a live page in a real Chromium and looks: nothing complains, every figure is drawn, numbers are
// those of the result, names stay names, and a browser that was cut off has the whole history afterwards.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { chromium } from 'playwright-core';

const [, , binary, scenarios, out] = process.argv;
const say = (text) => console.log(`browser: ${text}`);

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-default-apps', '--no-first-run',
    '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
  ],
});

/** A page that notes whatever should not happen on it. */
const open = async (url, options = {}) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const seen = { complaints: [], requests: [], expected: false };
  const complain = (text) => { if (!seen.expected) seen.complaints.push(text); };
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) complain(`console: ${message.text()}`); });
  page.on('pageerror', (error) => complain(`error: ${error.stack}`));
  page.on('dialog', async (dialog) => { complain(`dialog: ${dialog.message()}`); await dialog.dismiss(); });
  page.on('request', (request) => seen.requests.push(request.url()));
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(url);
  return { page, seen, close: () => context.close() };
};

/** Figures that are shown, and how many colours each canvas has. */
const figures = (page) => page.evaluate(() => Object.fromEntries([...document.querySelectorAll('figure.chart')]
  .filter((figure) => !figure.hidden)
  .map((figure) => {
    const canvas = figure.querySelector('canvas');
    const { width, height } = canvas;
    const copy = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const pixels = copy.getImageData(0, 0, width, height).data;
    const colours = new Set();
    for (let at = 0; at < pixels.length; at += 4) if (pixels[at + 3] > 200) colours.add((pixels[at] << 16) | (pixels[at + 1] << 8) | pixels[at + 2]);
    return [figure.id, colours.size];
  })));

const drawn = async (page, names) => {
  const shown = await figures(page);
  for (const name of names) assert.ok(shown[name] >= 3, `${name} is not drawn: ${JSON.stringify(shown)}`);
};

/** Numbers on the page against the result. */
const sameNumbers = async (page, result) => {
  const tile = (name) => page.getAttribute(`[data-tile=${name}]`, 'data-v');
  const measured = result.totals.measured;
  assert.equal(await tile('succeeded'), String(measured.classes.succeeded));
  assert.equal(await tile('unexplained'), String(measured.unexplained + result.totals.warm_up.unexplained));
  assert.equal(await tile('valid'), String(result.run.valid));
  for (const [name, group] of Object.entries(result.groups)) {
    const row = await page.$$eval(`tr[data-row=group][data-name="${name}"] td`, (cells) => cells.map((cell) => cell.dataset.v));
    const spans = result.spans.filter((one) => one.span === 'latency' && one.group === name && one.outcome === 'succeeded');
    const succeeded = Math.floor((group.totals.measured.classes.succeeded * 1000) / group.totals.measured.due);
    const counts = [group.devices, group.totals.measured.due, succeeded];
    // Of several workloads the page shows what their histograms are together.
    const p = spans.length === 1 ? spans[0].percentiles : null;
    const expected = p ? [...counts, p.p50, p.p90, p.p95, p.p99, p['p99.9'], p.max] : counts;
    assert.deepEqual(row.map(Number).slice(0, expected.length), expected, name);
  }
  const classes = await page.$$eval('tr[data-class]', (rows) => Object.fromEntries(rows.map((row) => [row.dataset.class, row.cells[1].textContent.replaceAll(' ', '')])));
  for (const [name, count] of Object.entries(classes)) assert.equal(Number(count), measured.classes[name], name);
  const word = await page.textContent('.word');
  assert.ok(word.includes(result.run.verdict), word);
  const thresholds = await page.$$eval('#thresholds tbody td.number', (cells) => cells.map((cell) => cell.textContent));
  assert.deepEqual(thresholds, result.thresholds.map((one) => one.shown));
};

const wide = (page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
const OVER_TIME = ['figure-latency', 'figure-heat', 'figure-classes', 'figure-curve', 'figure-fleet', 'figure-generator'];

const theReport = async () => {
  const json = `${out}/report.json`;
  try {
    execFileSync(binary, ['run', `${scenarios}/report.yaml`, '--virtual-time', '--seed', '7', '--tui', 'off', '--quiet',
      '--summary', 'none', '--json', json], { stdio: ['ignore', 'ignore', 'inherit'] });
  } catch (error) {
    assert.equal(error.status, 99, 'one of its thresholds cannot hold');
  }
  // A backend elsewhere can name devices and errors as it likes; ours cannot be brought to.
  const result = JSON.parse(readFileSync(json, 'utf8'));
  assert.ok(result.ledger.anomalies.length >= 2, 'dropped messages are anomalies');
  result.ledger.anomalies[0].device = '<img src=x onerror=alert(4)>';
  result.ledger.anomalies[1].device = '</script><script>alert(5)</script>';
  result.events.push({ at_us: 5_000_000, text: '</script><script>alert(6)</script><!-- ' });
  result.totals.measured.refused_by_error['<svg onload=alert(7)>'] = 1;
  writeFileSync(json, JSON.stringify(result));
  execFileSync(binary, ['report', json, '--html', `${out}/report.html`], { stdio: ['ignore', 'ignore', 'inherit'] });
  const url = `file://${out}/report.html`;
  for (const [name, options] of [
    ['light', { colorScheme: 'light' }], ['dark', { colorScheme: 'dark' }],
    ['narrow', { viewport: { width: 380, height: 800 } }], ['print', { colorScheme: 'dark' }],
  ]) {
    const { page, seen, close } = await open(url, options);
    if (name === 'print') await page.emulateMedia({ media: 'print' });
    await drawn(page, [...OVER_TIME, 'figure-rollout']);
    await sameNumbers(page, result);
    assert.ok(await wide(page) <= 0, `${name}: the page is wider than its window`);
    await page.screenshot({ path: `${out}/report-${name}.png`, fullPage: true });
    if (name === 'light') {
      const names = result.ledger.anomalies.map((one) => one.device);
      const shown = await page.$$eval('#anomaly-list tbody th', (cells) => cells.map((cell) => cell.textContent));
      assert.deepEqual([...shown].sort(), [...names].sort());
      assert.ok((await page.textContent('.description')).includes('</script><script>alert("description")</script>'));
      assert.equal(await page.locator('img').count(), 0);
      assert.equal(await page.locator('script').count(), 3, 'columns, uPlot and our own');
      assert.ok((await page.textContent('#rollouts')).includes('<script>alert(1)</script>'));
      const column = page.locator('#latency thead th', { hasText: 'p99' }).first();
      const order = () => page.$$eval('#latency tbody tr', (rows) => rows.map((row) => Number(row.cells[7].dataset.v)));
      await column.click();
      const down = await order();
      await column.click();
      assert.deepEqual(await order(), [...down].reverse(), 'a second click turns the order round');
    }
    assert.deepEqual(seen.complaints, []);
    assert.deepEqual(seen.requests, [url], 'it asks for nothing else');
    await close();
  }
  const { page, close } = await open(url, { javaScriptEnabled: false });
  const plain = await page.content();
  assert.ok(plain.includes('<svg class="static"'), 'a picture for those without scripts');
  assert.ok(await page.locator('noscript svg path').count() === 3 || plain.includes('<path class="p99"'));
  assert.ok(await page.locator('#latency table').isVisible());
  await page.screenshot({ path: `${out}/report-plain.png`, fullPage: true });
  await close();
  say('the report is drawn, its numbers are those of result.json, and names stay names');
};

/** Leads to the live page, until it is cut. */
const proxy = (port) => new Promise((resolve) => {
  const open = new Set();
  let cut = false;
  const server = net.createServer((from) => {
    if (cut) { from.destroy(); return; }
    const to = net.connect(port, '127.0.0.1');
    for (const socket of [from, to]) {
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => { open.delete(socket); from.destroy(); to.destroy(); });
    }
    from.pipe(to).pipe(from);
  });
  server.listen(0, '127.0.0.1', () => resolve({
    port: server.address().port,
    cut: () => { cut = true; for (const socket of open) socket.destroy(); },
    mend: () => { cut = false; },
    close: () => { for (const socket of open) socket.destroy(); server.close(); },
  }));
});

const theLivePage = async () => {
  const run = spawn(binary, ['run', `${scenarios}/live.yaml`, '--seed', '1', '--tui', 'off', '--summary', 'none',
    '--json', `${out}/live.json`, '--web', '--web-control'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => run.on('exit', resolve));
  const address = await new Promise((resolve, reject) => {
    let text = '';
    run.stderr.on('data', (bytes) => {
      text += bytes;
      const found = text.match(/http:\/\/127\.0\.0\.1:(\d+)\/#token=(\w+)/);
      if (found) resolve({ port: Number(found[1]), token: found[2] });
    });
    ended.then(() => reject(new Error(`no address was printed: ${text}`)));
  });
  const between = await proxy(address.port);
  const url = `http://127.0.0.1:${between.port}/`;
  const { page, seen, close } = await open(`${url}#token=${address.token}`, { colorScheme: 'dark' });
  const state = () => page.evaluate(() => ({ ...document.documentElement.dataset }));
  const until = (words, test, argument) => page.waitForFunction(test, argument, { timeout: 60_000 })
    .catch(async () => assert.fail(`${words}: ${JSON.stringify(await state())}`));
  const grown = (least) => until('the picture grows', (least) => document.documentElement.dataset.link === 'open' && Number(document.documentElement.dataset.points) >= least, least);
  await grown(5);
  await drawn(page, OVER_TIME);
  await page.screenshot({ path: `${out}/live.png`, fullPage: true });

  seen.expected = true; // A browser says in its console that a connection was lost.
  between.cut();
  await until('it says that the run does not answer', () => document.documentElement.dataset.link === 'lost');
  const before = Number((await state()).points);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  between.mend();
  await grown(before + 3);
  seen.expected = false;
  const found = await state();
  assert.equal(Number(found.points), Number(found.second) + 1, 'every second since the first is there');

  await page.click('button[data-post=pause]');
  await until('the run says that it was steered', () => document.querySelector('#verdict').textContent.includes('Somebody paused'));
  await page.click('button[data-post=resume]');

  await until('the end', () => document.documentElement.dataset.link === 'over');
  await ended;
  await sameNumbers(page, JSON.parse(readFileSync(`${out}/live.json`, 'utf8')));
  await drawn(page, OVER_TIME);
  await page.screenshot({ path: `${out}/live-end.png`, fullPage: true });
  assert.deepEqual(seen.complaints, []);
  const others = seen.requests.filter((request) => !request.startsWith(url));
  assert.deepEqual(others, [], 'it asks nobody else');
  await close();
  between.close();
  say('the live page is drawn, found the run again with its whole history, steered it, and ended as its report');
};

try {
  await theReport();
  await theLivePage();
} finally {
  await browser.close();
}
