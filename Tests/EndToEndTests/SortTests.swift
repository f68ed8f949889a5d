import Foundation
import Glibc
import TestSupport
import Testing

/// `mergevit sort`: class folders, resuming, and moving back.
@Suite struct SortTests {
    let scratch: TemporaryFolder
    private static let log = ".mergevit-sort.jsonl"

    init() throws { scratch = try TemporaryFolder() }

    private func sort(_ arguments: String...) throws -> Finished {
        try runMergeVit(["sort"] + arguments, folder: scratch.url)
    }

    /// Pictures with a class each, and their table.
    private func scene(_ rows: [(path: String, className: String)], more: String = "") throws {
        var table = "path,status,a,a_score,a_fit\n"
        for (index, row) in rows.enumerated() {
            try scratch.write(row.path, "\(index)")
            table += "\"\(row.path)\",ok,\"\(row.className)\",0.9,0.5\n"
        }
        try scratch.write("labels.csv", table + more)
    }

    /// All files below a folder with their bytes, but for the log.
    private func tree(_ name: String) throws -> [String: String] {
        let names = try FileManager.default.subpathsOfDirectory(atPath: scratch.path(name))
        return Dictionary(
            uniqueKeysWithValues: names.filter { $0 != Self.log }.compactMap { path in
                scratch.content("\(name)/\(path)").map { (path, $0) }
            })
    }

    @Test func eachWayGivesTheSameFolders() throws {
        try scene([("p/1.png", "x"), ("p/2.png", "y"), ("p/3.png", "x")])
        for mode in ["--link", "--copy", "--move"] {
            let run = try sort("labels.csv", "--by", "a", mode, "-o", "out\(mode)")
            #expect(run.exitCode == 0 && run.output.isEmpty, "\(run.errors)")
            #expect(try tree("out\(mode)") == ["x/1.png": "0", "y/2.png": "1", "x/3.png": "2"])
        }
        #expect(try scratch.entries("p").isEmpty && tree("out--copy").count == 3)
        let link = try FileManager.default.destinationOfSymbolicLink(atPath: scratch.path("out--link/x/1.png"))
        #expect(link.hasSuffix("/p/1.png") && link.hasPrefix("/"))
    }

    @Test func limitsAndFailuresLeavePicturesOut() throws {
        try scene(
            [("1.png", "x")],
            more: """
                2.png,ok,x,0.8,0.5
                3.png,ok,x,0.9,0.04
                4.png,below threshold: a,,0.3,0.5
                5.png,error: empty,,,
                1.png,ok,x,0.9,0.5

                """)
        let run = try sort("labels.csv", "--by", "a", "--min-score", "0.85", "--min-fit", "0.05", "--copy", "-o", "out")
        #expect(run.exitCode == 0)
        #expect(
            run.errors == """
                copied 1 picture to out: x (1)
                left out: 1 with a score below 0.85, 1 with a fit below 0.05, 1 below threshold, 1 failed

                """)
        #expect(try tree("out") == ["x/1.png": "0"])
    }

    /// Base names that two folders share or that differ by case, names of classes that are no names of folders.
    @Test func namesCannotCollide() throws {
        try scene([
            ("p/1.png", "a/b"), ("q/1.png", "a/b"), ("q/1.PNG", "A/B"), ("p/.2.png", ".."), ("p/l\nf.png", "con"),
            ("p/3.png", "x"),
        ])
        try scratch.write("out/x/3.png", "mine")
        let run = try sort("labels.csv", "--by", "a", "--move", "-o", "out")
        #expect(run.exitCode == 0 && run.errors.contains("the folder of \"..\" is \"%2E%2E\""), "\(run.errors)")
        let tree = try tree("out")
        #expect(tree["x/3.png"] == "mine" && tree["%2E%2E/%2E2.png"] == "3" && tree["%63on/l\nf.png"] == "4")
        let names = tree.keys.map { $0.split(separator: "/").last?.lowercased() ?? "" }.filter { $0 != "3.png" }
        #expect(Set(names).count == names.count)
        #expect(Set(tree.values).isSuperset(of: ["0", "1", "2", "3", "4", "5", "mine"]))
        #expect(tree.keys.contains { $0.hasPrefix("A%2FB/1-") } && tree.keys.contains { $0.hasPrefix("a%2Fb~2/1-") })
        let back = try sort("--undo", "out")
        #expect(back.exitCode == 0 && scratch.content("p/l\nf.png") == "4" && scratch.content("q/1.PNG") == "2")
        #expect(try self.tree("out") == ["x/3.png": "mine"])
    }

    /// What a person has moved between the folders stays there, and the way back finds it.
    @Test func correctionsStay() throws {
        try scene([("p/1.png", "x"), ("p/2.png", "y")])
        #expect(try sort("labels.csv", "--by", "a", "--move", "-o", "out").exitCode == 0)
        try FileManager.default.moveItem(atPath: scratch.path("out/x/1.png"), toPath: scratch.path("out/y/1.png"))
        let table = try #require(scratch.content("labels.csv"))
        try scratch.write("p/3.png", "2")
        try scratch.write("labels.csv", table + "p/3.png,ok,x,0.9,0.5\n")
        let again = try sort("labels.csv", "--by", "a", "--move", "-o", "out")
        #expect(
            again.exitCode == 0 && again.errors.contains("moved 1 picture to out; 2 were sorted before"),
            "\(again.errors)")
        #expect(try tree("out") == ["y/1.png": "0", "y/2.png": "1", "x/3.png": "2"])
        // A new picture of an old name, which the way back must not replace.
        try scratch.write("p/2.png", "new")
        let third = try sort("labels.csv", "--by", "a", "--move", "-o", "out")
        #expect(third.exitCode == 1 && third.errors.contains("was moved to y/2.png before, and is there again"))
        let back = try sort("--undo", "out/\(Self.log)")
        #expect(back.exitCode == 1 && back.errors.contains("p/2.png"), "\(back.errors)")
        #expect(try scratch.content("p/2.png") == "new" && tree("out") == ["y/2.png": "1"])
        #expect(scratch.content("p/1.png") == "0" && scratch.content("p/3.png") == "2")
        try scratch.remove("p/2.png")
        #expect(try sort("--undo", "out").exitCode == 0)
        #expect(try scratch.entries() == ["labels.csv", "p"] && scratch.content("p/2.png") == "1")
    }

    /// Every state in which a crash can leave a move: logged, linked, half copied, done, with a line cut short.
    @Test func aMoveSurvivesACrashAnywhere() throws {
        let rows = (0..<5).map { (path: "p/\($0).png", className: $0 < 3 ? "x" : "y") }
        try scene(rows)
        #expect(try sort("labels.csv", "--by", "a", "--move", "-o", "out").exitCode == 0)
        let lines = try #require(scratch.content("out/\(Self.log)")).split(separator: "\n")
        #expect(lines.count == 7 && lines[6].hasPrefix("{\"done\": 5"))
        try scratch.write("out/\(Self.log)", lines[..<6].joined(separator: "\n") + "\n" + lines[1].prefix(30))
        // Not moved yet; both names of one file; a copy and its source; an empty file that kept the place.
        try FileManager.default.moveItem(atPath: scratch.path("out/x/0.png"), toPath: scratch.path("p/0.png"))
        #expect(link(scratch.path("out/x/1.png"), scratch.path("p/1.png")) == 0)
        try scratch.copy(scratch.path("out/x/2.png"), to: "p/2.png")
        try scratch.write("out/x/.2.png.partial-1", "part")
        try FileManager.default.moveItem(atPath: scratch.path("out/y/3.png"), toPath: scratch.path("p/3.png"))
        try scratch.write("out/y/3.png", "")
        let run = try sort("labels.csv", "--by", "a", "--move", "-o", "out")
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(try scratch.entries("p").isEmpty)
        #expect(try tree("out") == ["x/0.png": "0", "x/1.png": "1", "x/2.png": "2", "y/3.png": "3", "y/4.png": "4"])
    }

    @Test func aKilledRunIsResumed() throws {
        try scene((0..<700).map { ("p/\($0 % 7)/\($0 / 7).png", "c\($0 % 5)") })
        #expect(try sort("labels.csv", "--by", "a", "--copy", "-o", "whole").exitCode == 0)
        let child = try startMergeVit(["sort", "labels.csv", "--by", "a", "--copy", "-o", "out"], folder: scratch.url)
        let killed = try child.interrupted(by: SIGKILL) { (try? scratch.entries("out/c3"))?.isEmpty == false }
        let again = try sort("labels.csv", "--by", "a", "--copy", "-o", "out")
        #expect(again.exitCode == 0 && killed.exitCode != 1, "\(again.errors)")
        #expect(try tree("out") == tree("whole") && tree("out").count == 700)
    }

    @Test func whatCannotBeSortedIsRefused() throws {
        try scene([("1.png", "x")])
        let table = try #require(scratch.content("labels.csv"))
        func run(_ text: String, _ more: String...) throws -> Finished {
            try scratch.write("labels.csv", text)
            return try runMergeVit(
                ["sort", "labels.csv", "--by", "a", "--move", "-o", "out"] + more, folder: scratch.url)
        }
        for (text, message) in [
            ("path,status,a,a_score,a_fit\n", "has no rows"),
            (table + "2.png,ok,x,0.5\n", "line 3: expected 5 cells, found 4"),
            (table + "2.png,ok,x|y,0.5|0.4,\n", "line 3: several labels of a"),
            (table + "./1.png,ok,y,0.5,\n", "line 3: ./1.png is \"y\" here and \"x\" on an earlier line"),
            ("path,status,a,a_score\n9.png,ok,x,0.5\n", "none of its pictures is there: 9.png"),
            ("path,status,a\n1.png,ok,0.5\n", "a has values, not classes"),
        ] {
            let run = try run(text)
            #expect(run.exitCode == 3 && run.errors.contains(message), "\(run.errors)")
            #expect(try scratch.entries() == ["1.png", "labels.csv"])
        }
        #expect(try run(table, "--min-score", "0.95").errors.contains("no picture is to be sorted by a"))
        #expect(try run("path,status,a\n1.png,ok,x\n", "--min-score", "0.5").errors.contains("line 2: no score of a"))
        #expect(try run(table, "--copy").exitCode == 2 && sort("labels.csv", "--by", "a", "-o", "out").exitCode == 2)
        #expect(try sort("--undo", "out", "--by", "a").exitCode == 2 && sort("--undo", "labels.csv").exitCode == 3)
        #expect(try sort("labels.csv", "--by", "b", "--copy", "-o", "out").exitCode == 2)
        // A picture that is gone, and a link, which is not moved.
        try scratch.link("link.png", to: "1.png")
        let partly = try run(table + "2.png,ok,x,0.5,\nlink.png,ok,x,0.5,\n")
        #expect(partly.exitCode == 1 && partly.errors.contains("2 pictures could not be moved; the first: "))
        #expect(try tree("out") == ["x/1.png": "0"])
        // Another way into the same folder.
        let other = try sort("labels.csv", "--by", "a", "--copy", "-o", "out")
        #expect(other.exitCode == 3 && other.errors.contains("choose another folder"))
        // A log that leads out of the folder.
        let log = try #require(scratch.content("out/\(Self.log)"))
        try scratch.write("out/\(Self.log)", log.replacing("\"to\":\"x/1.png\"", with: "\"to\":\"../1.png\""))
        let forged = try sort("--undo", "out")
        #expect(forged.exitCode == 3 && forged.errors.contains("is damaged"))
    }

    /// The folders are what training and evaluation take.
    @Test func trainAndEvaluateReadTheFolders() throws {
        _ = try label(Samples.six(), ["images", "-o", scratch.path("labels.csv")], folder: Samples.folder)
        let run = try sort("labels.csv", "--root", Samples.folder, "--by", "corn", "--link", "-o", "out")
        #expect(run.exitCode == 0, "\(run.errors)")
        let evaluation = try runMergeVit(
            "evaluate", "--bundle", Samples.six(), "--data", "corn=out", "--min-accuracy", "corn=1", folder: scratch.url
        )
        #expect(evaluation.exitCode == 0, "\(evaluation.errors)")
        let training = try runMergeVit(
            "train", "-q", "--base", Samples.base, "--data", "corn=out", "--head-only", "--epochs", "1",
            "-o", "head", folder: scratch.url)
        #expect(training.exitCode == 0, "\(training.errors)")
    }
}
