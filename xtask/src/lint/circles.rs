//! Checks that the modules of a crate do not depend on each other in cycles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::modules::{Crate, Edge, ModulePath};
use crate::project::Project;

/// A package to check.
struct Member {
    package: String,
    /// The root files of its crates.
    roots: Vec<PathBuf>,
}

/// Returns the cycles in the members of the workspace.
pub(super) fn check(project: &Project) -> Result<Vec<String>> {
    let members = project.packages.iter().map(|package| Member {
        package: package.name.clone(),
        roots: package
            .targets
            .iter()
            .filter(|target| is_code(&target.kind))
            .map(|target| target.src_path.clone())
            .collect(),
    });
    check_members(&members.collect::<Vec<_>>(), |path| project.shown(path).to_string())
}

/// Whether a target is a library or binary, not a test, benchmark or build script.
fn is_code(kinds: &[String]) -> bool {
    kinds.iter().any(|kind| ["bin", "lib", "rlib", "cdylib", "proc-macro"].contains(&kind.as_str()))
}

fn check_members(members: &[Member], shown: impl Fn(&std::path::Path) -> String) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for Member { package, roots } in members {
        for root in roots {
            let edges = Crate::read(root).with_context(|| format!("the modules of {package}"))?.edges();
            problems.extend(find_circles(&edges).iter().map(|circle| describe(package, circle, &shown)));
        }
    }
    Ok(problems)
}

fn describe(package: &str, circle: &[Edge], shown: impl Fn(&std::path::Path) -> String) -> String {
    let mut lines = format!("modules of {package} import each other:");
    for Edge { from, to, file, line, path } in circle {
        lines.push_str(&format!("\n    {} -> {}    {}:{line}: {path}", name(from), name(to), shown(file)));
    }
    lines
}

fn name(module: &ModulePath) -> String {
    [&["crate".to_owned()], module.as_slice()].concat().join("::")
}

/// Returns a shortest cycle of each strongly connected component.
fn find_circles(edges: &[Edge]) -> Vec<Vec<Edge>> {
    let mut from: BTreeMap<&ModulePath, Vec<&Edge>> = BTreeMap::new();
    for edge in edges {
        from.entry(&edge.from).or_default().push(edge);
    }
    let mut circles: Vec<Vec<Edge>> = Vec::new();
    let mut seen: BTreeSet<&ModulePath> = BTreeSet::new();
    for start in from.keys() {
        if seen.contains(*start) {
            continue;
        }
        let Some(circle) = shortest_circle(start, &from) else { continue };
        let group: BTreeSet<&ModulePath> = reachable(start, &from);
        let group: Vec<&ModulePath> =
            group.into_iter().filter(|other| reachable(other, &from).contains(*start)).collect();
        let shortest = group.iter().filter_map(|module| shortest_circle(module, &from)).min_by_key(Vec::len);
        seen.extend(group);
        circles.push(shortest.unwrap_or(circle));
    }
    circles
}

/// The modules that can be reached in one or more steps.
fn reachable<'a>(start: &ModulePath, from: &BTreeMap<&ModulePath, Vec<&'a Edge>>) -> BTreeSet<&'a ModulePath> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&ModulePath> = vec![start];
    while let Some(module) = next.pop() {
        for edge in from.get(module).into_iter().flatten() {
            if reached.insert(&edge.to) {
                next.push(&edge.to);
            }
        }
    }
    reached
}

/// Returns a shortest path from a module back to itself.
fn shortest_circle(start: &ModulePath, from: &BTreeMap<&ModulePath, Vec<&Edge>>) -> Option<Vec<Edge>> {
    let mut came_by: BTreeMap<&ModulePath, &Edge> = BTreeMap::new();
    let mut next: VecDeque<&ModulePath> = VecDeque::from([start]);
    while let Some(module) = next.pop_front() {
        for edge in from.get(module).into_iter().flatten() {
            if came_by.contains_key(&edge.to) {
                continue;
            }
            came_by.insert(&edge.to, edge);
            if edge.to == *start {
                return Some(way_back(start, &came_by));
            }
            next.push_back(&edge.to);
        }
    }
    None
}

fn way_back(start: &ModulePath, came_by: &BTreeMap<&ModulePath, &Edge>) -> Vec<Edge> {
    let mut circle = Vec::new();
    let mut at = start;
    while let Some(edge) = came_by.get(at) {
        circle.push((*edge).clone());
        at = &edge.from;
        if at == start {
            break;
        }
    }
    circle.reverse();
    circle
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A crate with the given files, as pairs of name and content.
    fn krate(files: &[(&str, &str)]) -> (TempDir, Member) {
        let folder = TempDir::new().expect("a folder");
        for (path, content) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }
        let member = Member { package: "krate".into(), roots: vec![folder.path().join("lib.rs")] };
        (folder, member)
    }

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let (folder, member) = krate(files);
        let shown =
            |path: &std::path::Path| path.strip_prefix(folder.path()).expect("it is inside").display().to_string();
        check_members(&[member], shown).expect("it can be read")
    }

    #[test]
    fn a_circle_of_two_is_shown_with_its_lines() {
        let found = problems(&[
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", "\nuse crate::b::B;\npub(crate) struct A(B);\n"),
            ("b.rs", "pub(crate) struct B;\n\nfn f() { super::a::A::new(); }\n"),
        ]);
        assert_eq!(
            found,
            ["modules of krate import each other:\n    \
              crate::a -> crate::b    a.rs:2: crate::b::B\n    \
              crate::b -> crate::a    b.rs:3: super::a::A::new"]
        );
    }

    #[test]
    fn a_circle_goes_through_trees_of_use_and_folders() {
        let found = problems(&[
            (
                "lib.rs",
                "mod a;\nmod b;\nmod c { pub use self::inner::C; mod inner { use crate::a::A; pub struct C; } }\n",
            ),
            ("a/mod.rs", "mod deep;\npub use deep::A;\n"),
            ("a/deep.rs", "use std::fmt;\nuse crate::{b::{self, B}, other};\npub struct A;\n"),
            ("b.rs", "use super::c::C as Other;\npub struct B;\n"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        for step in
            ["crate::a::deep -> crate::b ", "crate::b -> crate::c::inner ", "crate::c::inner -> crate::a::deep "]
        {
            assert!(found[0].contains(step), "{step} in {}", found[0]);
        }
        assert_eq!(found[0].lines().count(), 4, "{}", found[0]);
    }

    #[test]
    fn parent_and_child_that_use_each_other_are_a_circle() {
        let found = problems(&[
            ("lib.rs", "mod child;\nuse child::Part;\npub struct Whole(Part);\n"),
            ("child.rs", "use super::Whole;\npub struct Part;\n"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("crate -> crate::child    lib.rs:2"), "{}", found[0]);
    }

    #[test]
    fn a_parent_that_only_reexports_is_no_circle() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\npub use a::A;\npub(crate) use b::*;\npub const LIMIT: u8 = 1;\n"),
            ("a.rs", "use crate::B;\nuse super::LIMIT;\npub struct A(B);\n"),
            ("b.rs", "pub struct B;\nconst L: u8 = crate::LIMIT;\n"),
        ];
        assert_eq!(problems(&files), [""; 0]);
    }

    #[test]
    fn what_tests_import_does_not_count() {
        let tests = "pub struct B;\n#[cfg(all(test, unix))]\nuse crate::a::A;\n#[cfg(test)]\nmod tests { use super::*; use crate::a::A; }\n";
        let files = [("lib.rs", "mod a;\nmod b;\n"), ("a.rs", "use crate::b::B;\npub struct A(B);\n"), ("b.rs", tests)];
        assert_eq!(problems(&files), [""; 0]);
        let code = tests.replace("all(test, unix)", "not(test)");
        assert_eq!(problems(&[files[0], files[1], ("b.rs", &code)]).len(), 1);
    }

    #[test]
    fn comments_strings_and_other_crates_are_no_imports() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", "use crate::b::B;\npub struct A(B);\n"),
            (
                "b.rs",
                "//! See [`crate::a::A`].\n// use crate::a::A;\npub struct B;\nconst S: &str = \"crate::a::A\";\nuse ::a::A;\npub(in crate::a) fn f() {}\n",
            ),
        ];
        assert_eq!(problems(&files), [""; 0]);
    }

    #[test]
    fn names_that_were_imported_lead_on() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
            ("a.rs", "use crate::b;\npub struct A;\nfn f() { b::inner::g(); }\n"),
            ("b.rs", "pub mod inner { pub fn g() { crate::c::h(); } }\n"),
            ("c.rs", "pub fn h() { let _ = crate::a::A; }\n"),
        ];
        let found = problems(&files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("crate::a -> crate::b::inner    a.rs:3: b::inner::g"), "{}", found[0]);
    }

    #[test]
    fn separate_circles_are_both_found() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\n"),
            ("a.rs", "use crate::b::B;\nuse crate::c::C;\npub struct A;\n"),
            ("b.rs", "use crate::a::A;\npub struct B;\n"),
            ("c.rs", "use crate::d::D;\npub struct C;\n"),
            ("d.rs", "use crate::c::C;\npub struct D;\n"),
        ];
        assert_eq!(problems(&files).len(), 2);
    }
}
