import Foundation
import Glibc
import TestSupport
import Testing

/// `label --reuse` and `label --features`.
@Suite struct LabelReuseTests {
    let bundle: String
    let scratch: TemporaryFolder

    init() throws {
        bundle = try Samples.six()
        scratch = try TemporaryFolder()
        for name in ["b", "a", "c"] {
            try scratch.copy(Samples.image("signs/stop.png"), to: "\(name).png")
            try scratch.createFolder("in")
            try FileManager.default.moveItem(
                atPath: scratch.path("\(name).png"), toPath: scratch.path("in/\(name).png"))
            try scratch.age("in/\(name).png")
        }
    }

    func label(_ arguments: String...) throws -> Finished {
        try runMergeVit(["label", "--bundle", bundle, "in"] + arguments, folder: scratch.url)
    }

    @Test func aGrowingFolderIsLabelledByOneCommand() throws {
        let first = try label("-o", "out.csv", "--reuse", "out.csv")
        #expect(first.exitCode == 0)
        #expect(first.errors.hasPrefix("mergevit: out.csv does not exist yet, so there are no rows to take\n"))
        #expect(first.errors.contains("labelled 3 of 3 images in "))
        try scratch.copy(Samples.image("signs/roundabout.jpg"), to: "in/aa.jpg")
        try scratch.age("in/aa.jpg")
        try scratch.remove("in/c.png")
        let second = try label("-o", "out.csv", "--reuse", "out.csv")
        #expect(second.exitCode == 0 && second.errors.contains("labelled 3 of 3 images, 2 of them unchanged, in "))
        let fresh = try label("-q")
        #expect(try scratch.read("out.csv") == fresh.standardOutput)
        // Rows for stdout, from a file with another name and of another format.
        #expect(try label("-q", "--reuse", "out.csv").standardOutput == fresh.standardOutput)
        #expect(try label("-q", "--format", "jsonl", "--reuse", "out.csv").exitCode == 3)
    }

    @Test func otherRunsAreRefusedByName() throws {
        #expect(try label("-q", "-o", "old.csv").exitCode == 0)
        func refusal(_ arguments: String...) throws -> String {
            let run = try runMergeVit(["label", "in"] + arguments, folder: scratch.url)
            #expect(run.exitCode == 3 && run.standardOutput.isEmpty)
            return run.errors
        }
        let end = "; omit --reuse to label all files again\n"
        #expect(
            try refusal("--bundle", bundle, "--top-k", "2", "--reuse", "old.csv")
                == "mergevit: error: cannot take rows of old.csv: they are of another model or of other options: "
                + "--top-k was 1, now 2" + end)
        let other = try Samples.only("corn")
        #expect(try refusal("--bundle", other, "--reuse", "old.csv").contains("model (SHA-256) was "))
        #expect(
            try refusal("--bundle", bundle, "--reuse", "none.csv")
                == "mergevit: error: cannot take rows of none.csv: No such file or directory" + end)
        try scratch.write("old.csv", try scratch.read("old.csv") + Array("in/d.png,ok\n".utf8))
        #expect(
            try refusal("--bundle", bundle, "--reuse", "old.csv")
                == "mergevit: error: cannot take rows of old.csv: it has been changed since mergevit wrote it" + end)
    }

    @Test func aKilledRunThatTakesRowsIsResumed() throws {
        try scratch.writeInputList("list", count: 300)
        let arguments = ["label", "-q", "--bundle", bundle, "--threads", "1", "--files-from", "list"]
        let whole = try runMergeVit(arguments + ["-o", "old.csv"], folder: scratch.url)
        #expect(whole.exitCode == 1)
        // Every third picture is new.
        let lines = try #require(scratch.content("list")).split(separator: "\n").enumerated()
        try scratch.copy(Samples.image("signs/roundabout.jpg"), to: "new.jpg")
        try scratch.write("list", lines.map { $0 % 3 == 0 ? "new.jpg\n" : "\($1)\n" }.joined())
        let fresh = try runMergeVit(arguments + ["--features", "fresh.npy", "-o", "fresh.csv"], folder: scratch.url)
        #expect(fresh.exitCode == 1)
        for options in [["--reuse", "old.csv"], ["--features", "out.npy"]] {
            for _ in 0..<3 {
                let process = try startMergeVit(arguments + options + ["-o", "out.csv"], folder: scratch.url)
                usleep(UInt32.random(in: 50_000...1_300_000))
                process.send(SIGKILL)
                _ = try process.finish()
            }
            #expect(try runMergeVit(arguments + options + ["-o", "out.csv"], folder: scratch.url).exitCode == 1)
            #expect(try scratch.read("out.csv") == scratch.read("fresh.csv"))
            try scratch.remove("out.csv")
        }
        #expect(try scratch.read("out.npy") == scratch.read("fresh.npy"))
    }

    @Test func featuresThatCannotBeWrittenAreRefused() throws {
        func usage(_ arguments: String...) throws -> String {
            let run = try runMergeVit(["label", "--bundle", bundle, "in"] + arguments, folder: scratch.url)
            #expect(run.exitCode == 2)
            return run.errors
        }
        #expect(try usage("--features", "x.npy").contains("--features needs -o."))
        #expect(
            try usage("--features", "x.txt", "-o", "x.csv")
                .contains("--features x.txt: expected a name that ends in .safetensors or .npy."))
        #expect(try usage("--features", "x.npy", "-o", "x.csv", "--reuse", "y.csv").contains("give one of them"))
        try scratch.write("x.npy", "mine")
        let kept = try label("--features", "x.npy", "-o", "x.csv")
        #expect(kept.exitCode == 3 && kept.errors.contains("x.npy: it exists, and is not known to be written by"))
        #expect(scratch.content("x.npy") == "mine")
    }
}
