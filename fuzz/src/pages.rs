//! Targets over `pages`: what git tells of content that is anybody's.

use pages::change::{Limits, Line, read};

/// As git writes them: text, quoted paths, a rename, a mode, no text at all.
pub const PATCHES: &[&str] = &[
    concat!(
        "diff --git a/a b.txt b/a b.txt\nindex 1..2 100644\n--- a/a b.txt\t\n+++ b/a b.txt\t\n",
        "@@ -1,2 +1,3 @@ fn x\n one\n-two\n+--- two\n+three\n\\ No newline at end of file\n"
    ),
    concat!(
        "diff --git \"a/\\303\\274\" \"b/\\303\\274\"\nnew file mode 100755\n--- /dev/null\n",
        "+++ \"b/\\303\\274\"\n@@ -0,0 +1 @@\n+x\n"
    ),
    "diff --git a/o b/n\nsimilarity index 100%\nrename from o\nrename to n\n",
    "diff --git a/p.png b/p.png\nBinary files a/p.png and b/p.png differ\n",
    "@@ -18446744073709551615,18446744073709551615 +1,9 @@\n",
];

/// A patch is read within its bounds, whether or not its end was; no line that is shown ends another.
pub fn patch(data: &[u8]) {
    const LIMITS: Limits = Limits { lines: 20, lines_of_file: 7, characters: 500 };
    for whole in [true, false] {
        let patch = read(data, LIMITS, whole);
        assert!(patch.cut || whole);
        assert!(patch.files.iter().map(|file| file.lines.len()).sum::<usize>() <= LIMITS.lines);
        for file in &patch.files {
            assert!(file.lines.len() <= LIMITS.lines_of_file);
            let (added, removed) = file.counts();
            assert!(added + removed <= file.lines.len());
            let _ = (file.path(), file.former_path());
            for line in &file.lines {
                let (Line::Hunk(text)
                | Line::Same(_, _, text)
                | Line::Added(_, text)
                | Line::Removed(_, text)
                | Line::Remark(text)) = line;
                assert!(!text.contains('\n'), "{text:?}");
            }
        }
    }
}
