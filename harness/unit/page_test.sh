#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `dodeca report` from outside, with gnuplot and in headless Chromium: the page loads without a word on the console, is
# whole, fits a phone, has contrast by day and by night, prints, and asks for nothing. Each of these checks is shown to
# fail on a page with that fault planted. usage: page_test.sh PROGRAM
set -uo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

program=$(realpath "$1")
for tool in gnuplot chromium; do
    command -v "$tool" >/dev/null || {
        echo "SKIP: $tool is not installed; scripts/setup.sh --browser installs it"
        exit 3
    }
done
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-page.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"

# ---- the command
expect 2 'which results folder' report
expect 2 'nowhere/run.json: No such file' report nowhere
expect 2 'the results folder has no name' report ''
cp -r "$tests/page" quick
expect 0 'quick/report.html' report quick
for plot in speedup-1 simd-1 lock-free-1 total-1 phases-1; do
    [[ $(head -c 4 quick/plots/$plot.png) == $'\x89PNG' ]] || fail "$plot.png is no PNG"
    grep -q '</svg>' "quick/plots/$plot.svg" || fail "$plot.svg is no SVG"
    grep -q "id=\"plot-$plot\"" quick/report.html || fail "$plot is not in the page"
done
(cd quick/plots && gnuplot plots.gp) || fail 'plots.gp does not draw again'
touch quick/plots/notes.txt
expect 0 'quick/report.html' report quick
[[ -e quick/plots/notes.txt && -e quick/plots/total-1.svg ]] || fail 'a file of the user among the plots is gone'
mkdir figures && touch figures/own.svg && cp -r "$tests/page" linked && ln -s ../figures linked/plots
expect 2 'linked/plots: Not a directory' report linked
[[ -e figures/own.svg ]] || fail 'a file behind a link is gone'
cp quick/report.html before.html
sed -i 's/"format": 1/"format": 9/' quick/run.json
expect 2 'quick/run.json: format must be 1' report quick
cmp -s before.html quick/report.html || fail 'a refused folder changes the page that was there'
compgen -G 'quick/*.tmp' >/dev/null && fail 'a temporary file is left'
# a gnuplot that leaves half of the last picture, as on a full disk, and says nothing: page and plots stay as they are
mkdir halving
cat >halving/gnuplot <<SH
#!/bin/sh
$(command -v gnuplot) "\$@" && truncate -s -1000 phases-1.png
SH
chmod +x halving/gnuplot
cp -r quick before
sed -i 's/"format": 9/"format": 1/' quick/run.json
PATH=$folder/halving:$PATH expect 2 'no whole picture of phases-1' report quick
cp before/run.json quick/run.json
diff -r before quick >out || fail 'half a picture changes the page or the plots that were there'
cp -r "$tests/page" without
PATH=$folder/nowhere "$program" report without >out 2>err
(($? == 3)) && grep -q 'gnuplot-nox' err || fail 'a missing gnuplot is not exit 3 with the name of its package'
[[ $(ls without) == $'run.json\nspeedup.json' ]] || fail 'without gnuplot something was written'

# ---- the page in a browser

# What a page must be, asked from a page around it, in a frame as wide as a phone. It answers by its title.
cat >frame.js <<'JS'
const sections = ["answer", "verdicts", "speed", "simd", "lock-free", "phases", "spheres", "folds", "machine", "files"];
function light(css) { // relative luminance, as WCAG has it
    const part = css.match(/[\d.]+/g).slice(0, 3).map(x => x / 255).map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
}
function contrast(a, b) {
    const [x, y] = [light(a), light(b)];
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}
function look(frame) {
    const page = frame.contentDocument, view = frame.contentWindow, wrong = [];
    const style = e => view.getComputedStyle(e);
    for (const id of sections)
        if (!page.getElementById(id) || page.getElementById(id).getBoundingClientRect().height < 40)
            wrong.push("no section " + id);
    if (page.documentElement.scrollWidth > view.innerWidth)
        wrong.push("wider than the screen: " + page.documentElement.scrollWidth + " of " + view.innerWidth);
    const paper = style(page.body).backgroundColor;
    if (dark != light(paper) < 0.2)
        wrong.push("the paper is " + paper);
    const need = (what, colour, least) => {
        if (colour != "none" && !(contrast(colour, paper) >= least))
            wrong.push(what + " " + colour + " on " + paper);
    };
    for (const e of page.querySelectorAll("p, td, th, a, caption, figcaption, small"))
        need(e.tagName, style(e).color, 4.5);
    for (const e of page.querySelectorAll(".plot text"))
        need("a plot's text", style(e).fill, 4.5);
    for (const e of page.querySelectorAll(".plot path, .plot use"))
        need("a plot's line", e.tagName == "use" ? style(e).color : style(e).stroke, 2.4);
    for (const e of page.querySelectorAll(".scroll"))
        if (e.tabIndex != 0)
            wrong.push("a table that no key scrolls");
    for (const text of typed)
        if (![...page.querySelectorAll(".plot text")].some(e => e.textContent.includes(text)))
            wrong.push("not as typed: " + text);
    return [...new Set(wrong)].slice(0, 3).join("; ");
}
JS

browser=(timeout 120 chromium --headless --disable-gpu --user-data-dir="$folder/browser" --disable-background-networking
    --no-first-run --host-resolver-rules='MAP * ~NOTFOUND' --enable-logging=stderr)
((EUID != 0)) || browser+=(--no-sandbox)

typed='[]' # in JavaScript: texts that plots must show
# look PAGE light|dark: what is wrong with it, in a line; nothing where all is well
look()
{
    local dark=false scheme=1 answer
    [[ $2 == light ]] || { dark=true scheme=0; }
    cat >frame.html <<HTML
<!DOCTYPE html><title>not looked at</title><iframe style="width:390px;height:800px;border:0"></iframe>
<script>const dark = $dark, typed = $typed;</script><script src="frame.js"></script><script>
const frame = document.querySelector("iframe");
frame.onload = () => { try { document.title = "answer: " + look(frame); } catch (e) { document.title = "answer: " + e; } };
frame.src = "$1";
</script>
HTML
    # The outer page may look into the inner one; nothing else is allowed more than usual.
    "${browser[@]}" --disable-web-security --disable-site-isolation-trials --blink-settings=preferredColorScheme=$scheme \
        --virtual-time-budget=10000 --dump-dom "file://$folder/frame.html" >dom 2>words
    answer=$(grep -o '<title>[^<]*' dom | head -1)
    [[ $answer == '<title>answer: '* ]] || answer="<title>answer: ${answer:-no answer}"
    echo "${answer#<title>answer: }"
    grep -o 'CONSOLE.*' words
    grep -o -E '(src|href)="?https?:[^ >]*' "$1"
}

# fine PAGE, faulty FAULT TEXT PAGE: by day and by night
fine()
{
    local scheme said
    for scheme in light dark; do
        said=$(look "$1" $scheme | tr -s '\n' ' ')
        [[ $said == ' ' || -z $said ]] || fail "$1, $scheme: $said"
    done
}
faulty()
{
    local said
    said=$(look "$3" "${4:-light}")
    [[ $said == *"$2"* ]] || fail "$1: the check did not find it, it said \"$said\""
}

cp before.html page.html
fine page.html
sed 's|</footer>|<script>planted</script></footer>|' page.html >faulty.html
faulty 'a script that may not run' CONSOLE faulty.html
sed 's|</footer>|<img src="https://example.invalid/a.png"/></footer>|' page.html >faulty.html
faulty 'a request' https://example.invalid faulty.html
sed 's|<section id="spheres">|<section>|' page.html >faulty.html
faulty 'a section that is missing' 'no section spheres' faulty.html
sed 's|</footer>|<div style="width:500px">wide</div></footer>|' page.html >faulty.html
faulty 'a page that is too wide' 'wider than the screen' faulty.html
sed 's|@media screen and (prefers-color-scheme:dark)|@media speech|' page.html >faulty.html
faulty 'no dark colours' 'the paper is' faulty.html dark
sed 's|\.plot \[fill=black\]|.none|' page.html >faulty.html
faulty 'plots with black text by night' "a plot's text" faulty.html dark

# ---- labels that look like mark-up: shown as they are typed, in the page and in the files, and nothing runs
# They stand in the keys of plots and beside their rows, the second above and below them, too.
short='</svg><b onload=a()>&"]]>`c`'
long='</title></svg><script>alert(1)</script><img src=x onerror=alert(2)> ]]> &amp; "q" `touch pwned` $x @y 100% {a}^b'
for label in "$short" "$long"; do
    rm -rf labels
    cp -r "$tests/page" labels
    json=$(sed 's/"/\\"/g; s/$/\\nend/' <<<"$label")                            # as JSON has it
    sed -i "s~\"simd\": \"auto\"~\"simd\": \"$(sed 's/[\\&~]/\\&/g' <<<"$json")\"~" labels/*.json # as sed has that
    expect 0 'labels/report.html' report labels
    cp labels/report.html labels.html
    typed="['$(sed 's/</\\x3c/g' <<<"$label") end']" # without a tag for the page around it
    fine labels.html
    [[ ! -e pwned && ! -e labels/plots/pwned ]] || fail "the label $label ran a command"
    for plot in labels/plots/*.svg; do
        "${browser[@]}" --dump-dom "file://$folder/$plot" >dom 2>words
        grep -q parsererror dom && fail "$plot is not well-formed with the label $label"
    done
done
typed="['\x3c/svg>']"
cp -r "$tests/page" plain
expect 0 'plain/report.html' report plain
cp plain/report.html faulty.html
faulty 'a label that is not shown' 'not as typed' faulty.html
sed 's|<figcaption>|<figcaption><script>alert(1)</script>|' labels.html >faulty.html
typed='[]'
faulty 'a label that runs' CONSOLE faulty.html

# ---- in print
"${browser[@]}" --no-pdf-header-footer --print-to-pdf=page.pdf "file://$folder/page.html" >dom 2>words
[[ $(head -c 5 page.pdf) == %PDF- && $(wc -c <page.pdf) -gt 20000 ]] || fail 'the page does not print'

((failures == 0))
