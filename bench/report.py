"""Tables and pictures of what bench/versus measured."""

import fnmatch
import json
import operator
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess

groups = {
    "Training steps": r"(mlp|lenet|lstm|transformer|embedding)_",
    "Optimizers alone": r"opt_",
    "Convolutions": r"conv_",
    "What one operator costs": r"(chain|deep)_",
    "Gradients, float64": r"grad_",
    "Operators on 1,024 numbers": r"ew_.*_n1024_",
    "Operators on 102,400 numbers": r"ew_.*_n102400_",
    "Operators on 10,240,000 numbers": r"ew_.*_n10240000_",
}


# ---------------------------------------------------------------- where it was measured


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    simd = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "baseline"
    gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    system = next((line.split("=")[1].strip().strip('"') for line in open("/etc/os-release") if line.startswith("PRETTY_NAME")), platform.system())
    compiler = subprocess.run([*os.environ.get("CXX", "c++").split(), "--version"], stdout=subprocess.PIPE, text=True).stdout.splitlines()[0]
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, {simd}, {gib:.0f} GiB, {system}, {compiler}"


def commit(root):
    done = subprocess.run(["git", "-C", str(root), "describe", "--always", "--dirty"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "a release"


# ---------------------------------------------------------------- rows


def bars(root):
    lines = (line.split("#")[0].split() for line in (root / "bench/bars").read_text().splitlines())
    return [line for line in lines if line]


def demands(row, bars):
    """What is demanded of a case, and whether that is so: [(text, met)]. Quantities that were not measured demand nothing."""
    found, seen = [], set()
    for pattern, threads, quantity, relation, number in bars:
        if quantity in seen or threads not in ("*", str(row["threads"])) or not fnmatch.fnmatchcase(row["case"], pattern):
            continue
        seen.add(quantity)
        value = row.get(quantity)
        if value is None:
            continue
        met = (operator.ge if relation == ">=" else operator.le)(value, float(number))
        sign = {">=": "≥", "<=": "≤"}[relation]
        unit = {"libtorch": "×", "primal": "× the function", "memory": "× memory"}.get(quantity, " " + quantity)
        found.append((f"{sign} {number}{unit}", met))
    return found


class Ratio:
    """Of two programs, round by round."""

    def __init__(self, above, below, key="median_ns"):
        each = [above[r][key] / below[r][key] for r in above if r in below and below[r][key]]
        self.median, self.low, self.high = statistics.median(each), min(each), max(each)

    def text(self):
        digits = 0 if self.median >= 20 else 1 if self.median >= 4 else 2
        spread = f" [{self.low:.{digits}f}–{self.high:.{digits}f}]" if self.low != self.high else ""
        return f"{self.median:.{digits}f}×{spread}"


def median_of(rounds, key="median_ns"):
    return statistics.median(r[key] for r in rounds.values())


def rows_of(measured, bars):
    rows = []
    for (case, threads), by in measured.items():
        if "wengert" not in by or "_free_per_op" in case or case.endswith(("_primal", "_by_hand")):
            continue
        ours = by["wengert"]
        row = {"case": case, "threads": threads, "ns": median_of(ours)}
        for key, name in {"tuned": "tuned", "default": "default"}.items():
            if name in by:
                row[key] = Ratio(by[name], ours)
        if "tuned" in row:
            row["libtorch"] = row["tuned"].median
        problem = re.match(r"grad_[a-z]+", case)
        floor = by.get("floor")
        if problem:
            floor = measured[problem[0] + "_by_hand", threads]["wengert"]
            row["plain"] = Ratio(ours, measured[problem[0] + "_primal", threads]["wengert"])
            row["primal"] = row["plain"].median
            gradients = [g for results in [*by.values(), floor] for g in [median_of(results, "grad_norm2")]]
            row["agree"] = max(gradients) - min(gradients) <= 1e-8 * max(gradients)
        if floor:
            row["floor"] = Ratio(ours, floor)
        if re.match(groups["Training steps"], case):
            # What the step itself takes, on top of the program and its libraries.
            row["peak"] = {name: (peak - median_of(by[name], "start_rss_mib"), peak)
                           for name in ("wengert", "tuned") if name in by for peak in [median_of(by[name], "peak_rss_mib")]}
            if "tuned" in row["peak"]:
                row["memory"] = row["peak"]["tuned"][0] / row["peak"]["wengert"][0]
        alone = measured.get((case, 1))
        if threads > 1 and alone and median_of(alone["wengert"]) > 1e6:
            row["speed_up"] = Ratio(alone["wengert"], ours)
            if floor and "floor" in alone:
                row["limit"] = Ratio(alone["floor"], floor)
        row["demands"] = demands(row, bars)
        rows.append(row)
    return rows


# ---------------------------------------------------------------- text


def duration(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.3g} ns"


def cells(row):
    met = all(ok for _, ok in row["demands"])
    result = [row["case"], str(row["threads"]), duration(row["ns"])]
    result += [row[key].text() if key in row else "" for key in ("tuned", "default", "floor")]
    demanded = ", ".join(text + ("" if ok else " **missed**") for text, ok in row["demands"])
    if not row.get("agree", True):
        demanded += " **gradients differ**"
    return result, demanded, met and row.get("agree", True)


def two_threads(row):
    if "speed_up" not in row:
        return ""
    return f"{row['speed_up'].median:.2f}×" + (f" (floor {row['limit'].median:.2f}×)" if "limit" in row else "")


def peak(row):
    return " / ".join(f"{own:.0f} ({all:.0f})" for own, all in row.get("peak", {}).values())


header = ["case", "threads", "wengert", "libtorch / wengert", "as installed / wengert", "wengert / floor"]


def missed(rows):
    return [row for row in rows if not cells(row)[2]]


def text_table(rows, colours):
    lines = [[*header, "2 threads : 1", "demanded"]]
    for row in rows:
        first, demanded, met = cells(row)
        lines.append([*first, two_threads(row), demanded.replace("**", "")])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = []
    for line, row in zip(lines, [None, *rows]):
        s = "  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip()
        text.append(f"\033[31m{s}\033[0m" if colours and row and not cells(row)[2] else s)
    demanded = sum(len(row["demands"]) for row in rows)
    met = sum(ok for row in rows for _, ok in row["demands"])
    return "\n".join([*text, "", f"{met} of {demanded} demands are met"])


def markdown(results, rows, adoption_bars):
    demanded, met = sum(len(r["demands"]) for r in rows), sum(ok for r in rows for _, ok in r["demands"])
    out = [f"{results['machine']}; at {results['commit']}; {results['rounds']} rounds. {met} of {demanded} demands are met.", ""]
    limits = limits_table(results["rows"])
    if limits:
        out += ["### The machine", "", *limits, ""]
    for group, pattern in groups.items():
        inside = [row for row in rows if re.match(pattern, row["case"])]
        if not inside:
            continue
        columns = list(header)
        threads = any("speed_up" in row for row in inside)
        memory = any("peak" in row for row in inside)
        plain = any("plain" in row for row in inside)
        if plain:
            columns[-1] = "wengert / by hand"
        columns += ["gradient / function"] * plain + ["2 threads : 1"] * threads + ["peak MiB, libtorch's"] * memory + ["demanded"]
        out += [f"### {group}", "", "| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 2) + "---|"]
        for row in inside:
            first, text, _ = cells(row)
            line = [*first, *([row["plain"].text()] if plain else []), *([two_threads(row)] if threads else []),
                    *([peak(row)] if memory else []), text]
            out.append("| " + " | ".join(line) + " |")
        out.append("")
    if results["adoption"]:
        out += ["### Adoption", "", *adoption_table(results["adoption"], adoption_bars), ""]
    return "\n".join(out)


def limits_table(measured):
    found = {}
    for (case, threads), by in measured.items():
        if case.startswith("limit_") and "floor" in by:
            key = "gflops" if "gflops" in next(iter(by["floor"].values())) else "GBps"
            found.setdefault(case, {})[threads] = f"{median_of(by['floor'], key):.0f} {'GFLOP/s' if key == 'gflops' else 'GB/s'}"
    threads = sorted({t for by in found.values() for t in by})
    if not found:
        return []
    return ["| limit | " + " | ".join(f"{t} thread{'s' * (t > 1)}" for t in threads) + " |", "|---|" + "---:|" * len(threads),
            *("| " + " | ".join([case.removeprefix("limit_"), *(by.get(t, "") for t in threads)]) + " |" for case, by in sorted(found.items()))]


def adoption_table(lines, bars):
    by = {}
    for line in lines:
        by.setdefault(line["case"], {})[line["lib"]] = line

    def pick(case, key, scale, form):
        return [form.format(by[case][lib][key] * scale) if lib in by.get(case, {}) and key in by[case][lib] else "" for lib in ("wengert", "libtorch")]

    out = ["| | wengert | libtorch | demanded |", "|---|---:|---:|---|"]
    for text, case, key, scale, form, quantity in (
        ("compiling and linking a training program", "adoption_compile", "median_ns", 1e-9, "{:.2f} s", "s"),
        ("the compiler's memory for it", "adoption_compile", "peak_rss_mib", 1, "{:.0f} MiB", ""),
        ("the library, stripped", "adoption_library", "stripped_bytes", 1e-6, "{:.1f} MB", "MB"),
        ("all shared objects that a program loads", "adoption_loaded", "bytes", 1e-6, "{:.0f} MB", ""),
        ("a program's start to its first gradient and end", "adoption_start", "median_ns", 1e-6, "{:.1f} ms", "ms"),
        ("its memory", "adoption_start", "peak_rss_mib", 1, "{:.1f} MiB", "MiB"),
        ("a program that does nothing", "adoption_start_empty", "median_ns", 1e-6, "{:.1f} ms", ""),
    ):
        values = pick(case, key, scale, form)
        if not values[0]:
            continue
        row = {"case": case, "threads": 1, quantity: by[case]["wengert"][key] * scale}
        demanded = [t + ("" if ok else " **missed**") for t, ok in demands(row, bars)] if quantity else []
        out.append("| " + " | ".join([text, *values, ", ".join(demanded)]) + " |")
    return out


# ---------------------------------------------------------------- pictures


def gnuplot(script):
    """Whether there is a picture."""
    if not shutil.which("gnuplot"):
        print("gnuplot is not there, so there are no pictures")
        return False
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    return True


blue, red, grey = "#2b6cb0", "#c53030", "#888888"


def draw_ratios(rows, file):
    """A bar for each case: forwards and backwards together, on one thread."""
    shown = [r for r in rows if r["threads"] == 1 and "tuned" in r and not r["case"].endswith(("_fwd", "_fwd_per_op", "_bwd_per_op"))]
    if not shown:
        return False
    shown.reverse()
    lines = [f"{i} {r['tuned'].median:.4g} {r['tuned'].low:.4g} {r['tuned'].high:.4g} {blue if r['tuned'].median >= 1 else red}".replace("#", "0x")
             for i, r in enumerate(shown)]
    names = ", ".join('"%s" %d' % (re.sub(r"_fwdbwd$|_total_per_op$", "", r["case"]).replace("_", " "), i) for i, r in enumerate(shown))
    low = min(0.5, min(r["tuned"].low for r in shown) * 0.8)
    high = max(r["tuned"].high for r in shown) * 1.3
    return gnuplot(f"""
set terminal svg size 860,{90 + 15 * len(shown)} font "sans-serif,11" background "#ffffff"
set output "{file}"
set title "How many times longer libtorch takes (malloc tuned), one thread"
$bars << END
{chr(10).join(lines)}
END
set logscale x
set xrange [{low}:{high}]
set yrange [-1:{len(shown)}]
set xtics (0.1, 0.2, 0.5, "1×" 1, "2×" 2, "5×" 5, "10×" 10, "20×" 20, "50×" 50) nomirror
set ytics ({names}) scale 0
set grid xtics lc "#dddddd"
set border 1
set arrow from 1, graph 0 to 1, graph 1 nohead lc "#000000" lw 1.5 front
plot $bars using (1):1:(1):2:($1-0.35):($1+0.35):5 with boxxyerror fs solid noborder lc rgb variable notitle, \\
     $bars using 2:1:3:4 with xerrorbars pt -1 lc "#333333" notitle
""")


def draw_growth(growth, file):
    nodes, batch = growth["nodes"], growth["batch"]
    label = {"wengert": ("wengert", blue), "tuned": ("libtorch", grey)}

    def block(name, points):
        return f"${name} << END\n" + "\n".join(f"{n} {ns}" for n, ns in points) + "\nEND\n"

    data = "".join(block(f"nodes_{k}", v) for k, v in nodes.items()) + "".join(block(f"batch_{k}", v) for k, v in batch.items())
    style = {k: f'with linespoints pt 7 ps 0.5 lw 2 lc "{label[k][1]}" title "{label[k][0]}"' for k in label}
    last_n, last_ns = batch["wengert"][-1]
    curves = ", ".join(f"$nodes_{k} using 1:2 {style[k]}" for k in nodes)
    steps = ", ".join(f"$batch_{k} using 1:($1*$2/1e6) {style[k]}" for k in batch)
    return gnuplot(f"""
set terminal svg size 960,400 font "sans-serif,12" background "#ffffff"
set output "{file}"
{data}
set multiplot layout 1,2
set grid lc "#dddddd"
set key top left
set logscale xy
set format x "10^{{%T}}"
set xlabel "multiplications of one number in the graph"
set title "Nanoseconds per operator: record, walk back, release"
set yrange [20:20000]
plot {curves}
set title "Milliseconds per training step, MLP 784-256-128-10"
set xlabel "rows in the batch"
set autoscale y
set format x "%g"
set logscale x 2
plot {steps}, x*{last_ns / 1e6} with lines dt 2 lc "#000000" title "proportional to the batch"
unset multiplot
""")


# ---------------------------------------------------------------- files


def write(results, folder, root):
    """The names of the files; those of earlier runs stay as they are."""
    rules, written = bars(root), []
    rows = rows_of(results["rows"], rules)
    if rows:
        (folder / "performance.md").write_text(markdown(results, rows, rules))
        written.append("performance.md")
        if draw_ratios(rows, folder / "performance.svg"):
            written.append("performance.svg")
    if results["growth"] and draw_growth(results["growth"], folder / "growth.svg"):
        written.append("growth.svg")
    kept = dict(results, rows=[{"case": c, "threads": t, "by": by} for (c, t), by in results["rows"].items()])
    (folder / "results.json").write_text(json.dumps(kept, indent=1))
    return [*written, "results.json"]


def into_docs(folder, docs):
    """The tables replace what stands between two marks; everything else in the document was written by hand."""
    page = docs / "performance.md"
    begin, end = "<!-- tables, written by `./dev bench --docs` -->", "<!-- end of tables -->"
    before, rest = page.read_text().split(begin)
    page.write_text(before + begin + "\n\n" + (folder / "performance.md").read_text() + "\n" + end + rest.split(end)[1])
    for picture in ("performance.svg", "growth.svg"):
        shutil.copy(folder / picture, docs / picture)
    print(f"and to {docs}")
