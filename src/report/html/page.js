// Draws the figures of the page from the columns in #data; on a live page, from what its server sends. Texts and
// tables are made elsewhere: here nothing is worded but the ends of axes.
(() => {
  'use strict';
  const root = document.documentElement;
  const place = (id) => document.getElementById(id);
  let data = JSON.parse(place('data').textContent);
  root.classList.add('scripted');

  // Colours: Bang Wong's for lines, cividis for density. A canvas knows no style sheet, so they stand here, too.
  const CLASSES = [
    ['succeeded', '#009e73'], ['failed', '#d55e00'], ['rejected', '#cc79a7'], ['timed_out_device', '#f0e442'],
    ['timed_out_cloud', '#e69f00'], ['refused', '#56b4e9'], ['unknown', '#0072b2'], ['unsent', '#8d949c'],
    ['unfinished', '#c3c8ce'],
  ];
  const LINES = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#b5a900', '#8d949c'];
  const CIVIDIS = [
    [0, 34, 78], [33, 56, 108], [69, 80, 107], [101, 104, 112], [135, 129, 120], [171, 156, 113], [209, 185, 97],
    [254, 232, 56],
  ];
  const prefersDark = matchMedia('(prefers-color-scheme: dark)');
  let printing = false;
  const isDark = () => prefersDark.matches && !printing;
  const ink = () => (isDark() ? { text: '#a0a8b2', grid: '#2b3037', strong: '#e8eaed' }
    : { text: '#5b636d', grid: '#e6e8ec', strong: '#1a1d21' });
  const blue = () => (isDark() ? '#56b4e9' : '#0072b2');
  const density = (share) => {
    const at = (isDark() ? 0.12 + 0.88 * share : 1 - share) * (CIVIDIS.length - 1);
    const low = Math.min(Math.floor(at), CIVIDIS.length - 2);
    const mix = CIVIDIS[low].map((from, n) => Math.round(from + (CIVIDIS[low + 1][n] - from) * (at - low)));
    return `rgb(${mix})`;
  };

  // Numbers on axes and under the cursor.
  const trim = (value, digits) => String(Number(value.toPrecision(digits)));
  const micros = (us) => {
    if (us == null) return '';
    if (us < 1e3) return `${trim(us, 3)}µs`;
    if (us < 1e6) return `${trim(us / 1e3, 3)}ms`;
    if (us < 6e7) return `${trim(us / 1e6, 3)}s`;
    const seconds = Math.round(us / 1e6);
    return us < 3.6e9 ? `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, '0')}s`
      : `${Math.floor(seconds / 3600)}h${String(Math.floor(seconds / 60) % 60).padStart(2, '0')}m`;
  };
  const clock = (t) => {
    if (t == null) return '';
    const [hours, minutes, seconds] = [Math.floor(t / 3600), Math.floor(t / 60) % 60, Math.floor(t % 60)];
    const two = (n) => String(n).padStart(2, '0');
    return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${two(minutes)}:${two(seconds)}`;
  };
  const count = (n) => (n == null ? '' : n >= 1e6 ? `${trim(n / 1e6, 3)}M` : n >= 1e4 ? `${trim(n / 1e3, 3)}k` : trim(n, 4));
  const quantile = (x) => {
    const share = 1 - 10 ** -x;
    const digits = Math.max(0, Math.ceil(x - 2 + 1e-9));
    return x === 0 ? 'min' : `p${trim(share * 100, digits + 2)}`;
  };

  // Places on axes.
  const decades = (low, high, steps) => {
    const places = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
      for (const step of steps) {
        const at = step * 10 ** e;
        if (at >= low * 0.999 && at <= high * 1.001) places.push(Number(at.toPrecision(6)));
      }
    }
    return places;
  };
  const fromZero = (u, low, high) => [0, Math.max((high || 0) * 1.08, 1e-3)];
  const logSplits = (u, axis, low, high) => {
    const all = Math.log10(high / low);
    return decades(low, high, all > 3.2 ? [1] : all > 1.4 ? [1, 3] : [1, 2, 3, 5, 7]);
  };
  const logRange = (u, low, high) => (low > 0 && high > 0 ? [low / 1.3, Math.max(high * 1.3, low * 2)] : [1e3, 1e6]);
  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200];
  const time = () => ({ scale: 'x', stroke: ink().text, grid: { stroke: ink().grid, width: 1 }, ticks: { show: false },
    incrs: STEPS, space: 60, values: (u, splits) => splits.map(clock) });
  const upwards = (scale, words, more) => ({ scale, stroke: ink().text, grid: { stroke: ink().grid, width: 1 },
    ticks: { show: false }, size: 68, values: (u, splits) => splits.map((v) => (v == null ? '' : words(v))), ...more });
  const line = (label, stroke, more) => ({ label, stroke, width: 1.6, points: { show: false }, spanGaps: false, ...more });

  // Points with nothing to connect to are dots, or they would not be seen.
  const lonely = (u, at, from, to) => {
    const ys = u.data[at], dots = [];
    for (let i = from; i <= to; i++) if (ys[i] != null && ys[i - 1] == null && ys[i + 1] == null) dots.push(i);
    return dots;
  };
  const dotted = { points: { show: (u, at, from, to) => lonely(u, at, from, to).length > 0, filter: (u, at, show, gaps) => (show ? lonely(u, at, 0, u.data[0].length - 1) : null), size: 4 } };

  const series = () => data.series;
  const perSecond = (column) => column.map((sum, i) => sum / Math.max(series().n[i], 1));
  const plots = {};
  const together = uPlot.sync('time');

  // Where phases begin and things happened: thin lines behind the data.
  const marks = (u) => {
    const { ctx, bbox } = u;
    const at = (t) => Math.round(u.valToPos(t, 'x', true)) + 0.5;
    ctx.save();
    ctx.lineWidth = devicePixelRatio;
    ctx.strokeStyle = ink().text;
    ctx.fillStyle = ink().text;
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = 'left'; ctx.textBaseline = 'top';
    ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
    let free = 0;
    for (const [t, phase] of series().phases) {
      const x = at(t);
      if (t <= u.scales.x.min || x > bbox.left + bbox.width) continue;
      ctx.globalAlpha = 0.7;
      ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
      const width = ctx.measureText(phase).width;
      const left = x + width + 6 > bbox.left + bbox.width ? x - width - 4 * devicePixelRatio : x + 4 * devicePixelRatio;
      if (left > free) { ctx.fillText(phase, left, bbox.top + 2); free = left + width; }
    }
    ctx.setLineDash([]);
    for (const mark of data.marks) {
      const x = at(mark.t);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.globalAlpha = 0.9;
      ctx.beginPath(); ctx.moveTo(x, bbox.top + bbox.height); ctx.lineTo(x, bbox.top + bbox.height - 7 * devicePixelRatio); ctx.stroke();
    }
    ctx.restore();
  };

  // What each figure is: its columns and its options, both made anew whenever they are drawn from scratch.
  const overTime = (axes, lines, more = {}) => ({
    cursor: { sync: { key: together.key }, drag: { x: true, y: false } },
    scales: { x: { time: false }, y: { range: fromZero }, ...more.scales },
    axes: [time(), ...axes],
    series: [{ label: 'at', value: (u, v) => clock(v) }, ...lines],
    hooks: { drawClear: more.before || [], drawAxes: [marks], draw: more.after || [] },
  });
  const logarithmic = { distr: 3, log: 10, range: logRange };
  const logAxis = () => upwards('y', micros, { splits: logSplits, filter: (u, s) => s });
  const latencyValue = { value: (u, v) => micros(v) };

  const cellBottom = (cell) => (cell > 0 ? data.heat_edges_us[cell - 1] : data.heat_edges_us[0] / 2.1544);
  const heatRange = () => {
    let low = Infinity, high = 0;
    for (const column of series().heat) {
      if (!column) continue;
      low = Math.min(low, cellBottom(column[0]));
      high = Math.max(high, data.heat_edges_us[column[0] + column[1].length - 1] || 0);
    }
    return high > 0 ? [low, high] : [1e3, 1e6];
  };
  const drawHeat = (u) => {
    const { ctx, bbox } = u;
    const { t, n, heat, width } = series();
    const most = Math.log1p(Math.max(1, ...heat.map((c, i) => (c ? Math.max(...c[1]) / Math.max(n[i], 1) : 0))));
    ctx.save();
    ctx.beginPath(); ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height); ctx.clip();
    heat.forEach((column, i) => {
      if (!column) return;
      const left = Math.floor(u.valToPos(t[i], 'x', true));
      const right = Math.max(Math.floor(u.valToPos(t[i] + width, 'x', true)), left + 1);
      column[1].forEach((samples, k) => {
        if (!samples) return;
        const top = Math.round(u.valToPos(data.heat_edges_us[column[0] + k], 'y', true));
        const bottom = Math.round(u.valToPos(cellBottom(column[0] + k), 'y', true));
        ctx.fillStyle = density(Math.log1p(samples / Math.max(n[i], 1)) / most);
        ctx.fillRect(left, top, right - left, bottom - top);
      });
    });
    ctx.restore();
  };

  const percent = (cores) => (cores == null ? '' : `${Math.round(cores * 100)}%`);
  // Nothing is known of them in virtual time, nor of a backend elsewhere.
  const processors = () => [
    ['CPU generator, right axis', series().generator, blue()], ['CPU backend, right axis', series().backend, '#cc79a7'],
  ].filter(([, column]) => column.some((cores) => cores != null));
  const stacked = () => CLASSES.filter(([name]) => series().classes[name]);
  const dashed = (u, value, axis, colour, words, row = 0) => {
    const { ctx, bbox } = u;
    const x = Math.round(u.valToPos(value, axis, true)) + 0.5;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = 'left'; ctx.textBaseline = 'top';
    const width = ctx.measureText(words).width;
    ctx.fillText(words, x + width + 8 * devicePixelRatio > bbox.left + bbox.width ? x - width - 5 * devicePixelRatio : x + 5 * devicePixelRatio, bbox.top + (2 + 15 * row) * devicePixelRatio);
    ctx.restore();
  };
  // Slow rollouts are told by the minute.
  const told = () => (Math.max(...first().rates.map(([, rate]) => rate)) < 20 ? [60, '/min'] : [1, '/s']);
  const first = () => (data.rollouts.length ? data.rollouts[0] : null);

  const FIGURES = {
    'figure-latency': {
      columns: () => [series().t, series().max, series().p99, series().p95, series().p50],
      options: () => overTime([logAxis()], [
        line('max', '#8d949c', { ...latencyValue, ...dotted, width: 1 }), line('p99', '#d55e00', { ...latencyValue, ...dotted }),
        line('p95', '#009e73', { ...latencyValue, ...dotted }), line('p50', blue(), { ...latencyValue, ...dotted }),
      ], { scales: { y: logarithmic } }),
    },
    'figure-heat': {
      columns: () => [series().t, series().p99],
      options: () => overTime([logAxis()], [
        line('p99', '#d55e00', { ...latencyValue, width: 0 }),
      ], { scales: { y: { ...logarithmic, range: heatRange } }, before: [drawHeat] }),
    },
    'figure-classes': {
      columns: () => {
        let sum = series().t.map(() => 0);
        const sums = stacked().map(([name]) => (sum = perSecond(series().classes[name]).map((v, i) => v + sum[i])));
        return [series().t, ...sums.reverse(), perSecond(series().due)];
      },
      options: () => {
        const stepped = uPlot.paths.stepped({ align: 1 });
        const layers = stacked().reverse().map(([name, colour]) => ({
          label: name.replaceAll('_', ' '), stroke: colour, fill: colour, width: 0, paths: stepped, points: { show: false },
          value: (u, v, at, i) => (i == null ? '' : `${count(perSecond(series().classes[name])[i])}/s`),
        }));
        return overTime([upwards('y', (v) => `${count(v)}/s`)], [
          ...layers, line('due', ink().strong, { paths: stepped, width: 1.2, value: (u, v) => (v == null ? '' : `${count(v)}/s`) }),
        ]);
      },
    },
    'figure-fleet': {
      columns: () => [series().t, series().online, series().in_flight],
      options: () => overTime([
        upwards('y', count, { label: '' }), upwards('flight', count, { side: 1, grid: { show: false } }),
      ], [
        line('online', '#009e73', { width: 2, value: (u, v) => count(v) }),
        line('in flight, right axis', '#e69f00', { scale: 'flight', value: (u, v) => count(v) }),
      ], { scales: { flight: { range: fromZero } } }),
    },
    'figure-generator': {
      columns: () => [series().t, series().lag, ...processors().map(([, column]) => column)],
      options: () => overTime([
        logAxis(), ...(processors().length ? [upwards('cores', percent, { side: 1, grid: { show: false } })] : []),
      ], [
        line('lag p99', '#d55e00', { ...latencyValue, ...dotted }),
        ...processors().map(([label, , stroke]) => line(label, stroke, { scale: 'cores', value: (u, v) => percent(v) })),
      ], { scales: { y: logarithmic, cores: { range: fromZero } } }),
    },
    'figure-curve': {
      columns: () => [data.curve.x, ...data.curve.lines.map((one) => one.us)],
      options: () => ({
        cursor: { drag: { x: true, y: false } },
        scales: { x: { time: false }, y: logarithmic },
        axes: [{ ...time(), incrs: undefined, splits: () => [0, Math.log10(2), 1, 2, 3, 4, 5, 6].filter((x) => x <= (data.curve.x.at(-1) ?? 1)),
          filter: (u, s) => s, values: (u, splits) => splits.map(quantile) }, logAxis()],
        series: [{ label: 'percentile', value: (u, v) => (v == null ? '' : quantile(v)) }, ...data.curve.lines.map((one, n) =>
          line(one.name, n === 0 ? ink().strong : LINES[(n - 1) % LINES.length], { ...latencyValue, width: n === 0 ? 2.2 : 1.6, ...dotted }))],
      }),
    },
    'figure-capacity': {
      is: () => data.capacity && data.capacity.offered.length > 0,
      columns: () => [data.capacity.offered, data.capacity.p50, data.capacity.p95, data.capacity.p99],
      options: () => {
        const shown = (u, at, i) => data.capacity.outcome[i];
        const outcome = (u) => {
          const { ctx } = u;
          ctx.save();
          ctx.font = `700 ${15 * devicePixelRatio}px system-ui, sans-serif`;
          ctx.textAlign = 'center'; ctx.textBaseline = 'bottom';
          data.capacity.offered.forEach((rate, i) => {
            const top = data.capacity.p99[i];
            if (top == null) return;
            const [sign, colour] = { passed: ['✓', '#009e73'], failed: ['✗', '#d55e00'] }[shown(u, 0, i)] || ['?', '#8d949c'];
            ctx.fillStyle = colour;
            ctx.fillText(sign, u.valToPos(rate, 'x', true), u.valToPos(top, 'y', true) - 3 * devicePixelRatio);
          });
          ctx.restore();
          const { holds, broke_at: broke, lagged_at: lagged } = data.capacity;
          if (holds) dashed(u, holds, 'x', '#009e73', 'holds');
          if (broke) dashed(u, broke, 'x', '#d55e00', 'breaks');
          if (lagged) dashed(u, lagged, 'x', '#8d949c', 'generator lagged');
        };
        const points = (label, stroke) => line(label, stroke, { ...latencyValue, points: { show: true, size: 6, fill: stroke } });
        return {
          cursor: { drag: { x: false, y: false } },
          scales: { x: { time: false, distr: 3, log: 10, range: (u, low, high) => [low / 1.15, high * 1.15] }, y: { ...logarithmic, range: (u, low, high) => (low > 0 ? [low / 1.3, high * 2] : [1e3, 1e6]) } },
          axes: [{ ...time(), incrs: undefined, splits: logSplits, filter: (u, s) => s, values: (u, splits) => splits.map((v) => `${count(v)}/s`) }, logAxis()],
          series: [{ label: 'offered', value: (u, v) => (v == null ? '' : `${count(v)}/s`) }, points('p50', blue()), points('p95', '#009e73'), points('p99', '#d55e00')],
          hooks: { draw: [outcome] },
        };
      },
    },
    'figure-rollout': {
      is: () => first() && first().rates.length > 0,
      columns: () => {
        const { t, width } = series(), { rates, alone } = first(), [factor] = told();
        const over = (series().phases.find(([, phase]) => phase === 'drain') || [Infinity])[0];
        const asked = t.map((at) => {
          let rate = null;
          for (const [from, each] of rates) if (from < at + width) rate = each * factor;
          return at < over ? rate : null;
        });
        // What several workloads start together says nothing about one of them.
        return [t, asked, ...(alone ? [perSecond(series().started).map((rate) => rate * factor)] : [])];
      },
      options: () => {
        const words = (v) => (v == null ? '' : `${count(v)}${told()[1]}`);
        const started = line('started', '#e69f00', { width: 1, value: (u, v) => words(v) });
        return overTime([upwards('y', words)], [
          line('asked for', blue(), { width: 2.4, paths: uPlot.paths.stepped({ align: 1 }), fill: isDark() ? '#56b4e922' : '#0072b21a', value: (u, v) => words(v) }),
          ...(first().alone ? [started] : []),
        ], { after: [(u) => first().batches.forEach(([t, name]) => name && dashed(u, t, 'x', ink().strong, name, 1))] });
      },
    },
  };

  const draw = (id) => {
    const figure = place(id), spec = FIGURES[id];
    if (!figure) return;
    const columns = !spec.is || spec.is() ? spec.columns() : [];
    const filled = columns.slice(1).some((column) => column.some((value) => value != null));
    figure.hidden = !filled || columns[0].length === 0;
    if (figure.hidden) return;
    const target = figure.querySelector('.plot');
    const kind = columns.length;
    if (plots[id] && plots[id].kind === kind) {
      plots[id].plot.setData(columns);
      return;
    }
    if (plots[id]) plots[id].plot.destroy();
    const size = { width: Math.max(target.clientWidth, 200), height: 250 };
    const options = { ...size, legend: { live: true, show: id !== 'figure-heat' }, padding: [10, 26, 0, 0], ...spec.options() };
    plots[id] = { kind, plot: new uPlot(options, columns, target) };
  };
  const drawAll = () => Object.keys(FIGURES).forEach(draw);
  const drawAnew = () => {
    for (const id of Object.keys(plots)) { plots[id].plot.destroy(); delete plots[id]; }
    drawAll();
  };
  prefersDark.addEventListener('change', drawAnew);
  addEventListener('beforeprint', () => { printing = true; drawAnew(); });
  addEventListener('afterprint', () => { printing = false; drawAnew(); });
  let resizing = 0;
  addEventListener('resize', () => {
    cancelAnimationFrame(resizing);
    resizing = requestAnimationFrame(() => {
      for (const id of Object.keys(plots)) {
        const width = place(id).querySelector('.plot').clientWidth;
        if (width > 0) plots[id].plot.setSize({ width, height: 250 });
      }
    });
  });

  // Tables that sort by a column; a second click turns it round.
  const sortedBy = {};
  const sortBy = (table, column, ascending) => {
    const body = table.tBodies[0];
    const key = (row) => {
      const cell = row.cells[column];
      if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
      return cell.classList.contains('number') ? null : cell.textContent.trim() || null;
    };
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      // What is missing is neither small nor large: it comes last either way.
      if (x === null || y === null) return (x === null) - (y === null);
      const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
      return ascending ? order : -order;
    });
    body.append(...rows);
    [...table.tHead.rows[0].cells].forEach((cell, n) => {
      if (n === column) cell.setAttribute('aria-sort', ascending ? 'ascending' : 'descending');
      else cell.removeAttribute('aria-sort');
    });
  };
  const makeSortable = (within) => within.querySelectorAll('table.sortable').forEach((table) => {
    const owner = table.closest('section').id;
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      if (!cell.textContent.trim()) return;
      cell.classList.add('sorts');
      cell.tabIndex = 0;
      const sort = () => {
        const before = sortedBy[owner];
        const ascending = before && before.column === column ? !before.ascending : !cell.classList.contains('number');
        sortedBy[owner] = { column, ascending };
        sortBy(table, column, ascending);
      };
      cell.addEventListener('click', sort);
      cell.addEventListener('keydown', (event) => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); sort(); } });
    });
    if (sortedBy[owner]) sortBy(table, sortedBy[owner].column, sortedBy[owner].ascending);
  });

  makeSortable(document);
  drawAll();
  root.dataset.drawn = Object.keys(plots).length;
  if (root.dataset.live === undefined) return;

  // From here on: a run that goes on.
  // What can have the focus in a section, by names that the next picture has, too.
  const focusable = (section) => new Map([...section.querySelectorAll('summary, th.sorts')].map((one) => {
    const tables = [...section.querySelectorAll('table')];
    return [one.localName === 'summary' ? one.parentElement.id : `${tables.indexOf(one.closest('table'))}.${one.cellIndex}`, one];
  }));
  const isSelected = (section) => {
    const selection = getSelection();
    return !selection.isCollapsed && selection.rangeCount > 0 && selection.getRangeAt(0).intersectsNode(section);
  };
  const show = (sections, isLast) => {
    for (const [id, html] of Object.entries(sections)) {
      const section = place(id);
      // Text that somebody has selected stays until it is copied; the report at the end does not wait.
      if (!section || section.shown === html || (!isLast && isSelected(section))) continue;
      const focused = [...focusable(section)].find(([, one]) => one === document.activeElement);
      const opened = [...section.querySelectorAll('details')].map((one) => [one.id, one.open]);
      section.shown = html;
      section.innerHTML = html;
      for (const [name, open] of opened) {
        const again = name && [...section.querySelectorAll('details')].find((one) => one.id === name);
        if (again) again.open = open;
      }
      makeSortable(section);
      if (focused) focusable(section).get(focused[0])?.focus({ preventScroll: true });
    }
    if (sections.word) document.title = document.title.replace(/^\S+/, sections.word);
  };
  // Points of the same width are put behind those that stay; the last one sent before may have grown since.
  const COLUMNS = ['t', 'n', 'due', 'started', 'in_flight', 'online', 'p50', 'p95', 'p99', 'max', 'lag', 'generator', 'backend', 'heat'];
  const merge = (old, more) => {
    if (!more.t.length) return old;
    if (old.width !== more.width || !old.t.length || more.t[0] <= old.t[0]) return more;
    let keep = old.t.length;
    while (keep > 0 && old.t[keep - 1] >= more.t[0]) keep--;
    const merged = { width: old.width, classes: {}, phases: old.phases.filter(([t]) => t < more.t[0]) };
    for (const name of COLUMNS) merged[name] = old[name].slice(0, keep).concat(more[name]);
    const zeros = (length) => new Array(length).fill(0);
    for (const [name] of CLASSES) {
      if (!old.classes[name] && !more.classes[name]) continue;
      const before = (old.classes[name] || zeros(old.t.length)).slice(0, keep);
      merged.classes[name] = before.concat(more.classes[name] || zeros(more.t.length));
    }
    const known = merged.phases.length ? merged.phases.at(-1)[1] : '';
    merged.phases = merged.phases.concat(more.phases.filter(([, phase], n) => n > 0 || phase !== known));
    return merged;
  };
  const link = (words, state) => {
    place('link').textContent = words;
    place('live').className = state;
    root.dataset.link = state || 'open';
  };
  const take = (event) => {
    const update = JSON.parse(event.data);
    const merged = merge(data.series, update.charts.series);
    data = { ...update.charts, series: merged };
    show(update.sections, event.type === 'end');
    const words = place('thinned');
    words.hidden = !update.thinned;
    words.textContent = update.thinned || '';
    drawAll();
    root.dataset.second = series().t.length ? series().t.at(-1) : -1;
    root.dataset.points = series().t.length;
    root.dataset.drawn = Object.keys(plots).length;
  };
  const last = series().t.length ? series().t.at(-1) : '';
  const source = new EventSource(`events?from=${last}`);
  source.addEventListener('open', () => link('live: a picture a second', ''));
  source.addEventListener('update', take);
  source.addEventListener('end', (event) => { take(event); source.close(); if (place('buttons')) place('buttons').hidden = true; link('the run is over: this is its report, kept by this window alone', 'over'); });
  source.addEventListener('error', () => link('the run does not answer; trying again', 'lost'));

  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  const buttons = place('buttons');
  if (!buttons || !token) return;
  buttons.hidden = false;
  // Stopping cannot be taken back: it wants a second click.
  let asking = 0;
  const askNoMore = (button) => { clearTimeout(asking); asking = 0; button.textContent = 'stop'; };
  buttons.addEventListener('click', async (event) => {
    const { post, percent, steps } = event.target.dataset;
    if (!post) return;
    if (post === 'stop') {
      const button = event.target;
      if (!asking) {
        button.textContent = 'click again to stop';
        asking = setTimeout(askNoMore, 3000, button);
        return;
      }
      askNoMore(button);
    }
    const body = percent ? { percent: Number(percent) } : steps ? { steps: Number(steps) } : {};
    try {
      const answer = await fetch(`api/${post}`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });
      if (!answer.ok) link(`refused: ${(await answer.text()).slice(0, 200)}`, 'lost');
    } catch { link('the run does not answer', 'lost'); }
  });
})();
