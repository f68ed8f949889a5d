import Foundation
import TestSupport
import Testing

/// `list`, `label --shard` and `gather` as a cluster runs them.
@Suite struct LabelShardTests {
    let bundle: String
    let scratch: TemporaryFolder

    init() throws {
        bundle = try Samples.six()
        scratch = try TemporaryFolder()
    }

    @Test func threeShardsAreGatheredToTheBytesOfOneRun() throws {
        let images = "\(Samples.folder)/images"
        try scratch.write("README.md", "no picture")
        let whole = try runMergeVit("label", "-q", "--bundle", bundle, images, "README.md", folder: scratch.url)
        #expect(whole.exitCode == 1)
        let list = try runMergeVit("list", images, "README.md", "-o", "inputs.list", folder: scratch.url)
        #expect(list.exitCode == 0 && list.standardOutput.isEmpty && list.errors.isEmpty)
        for number in [3, 1, 2] {
            let run = try runMergeVit(
                "label", "-q", "--bundle", bundle, "--files-from", "inputs.list", "--as-listed", "--shard",
                "\(number)/3", "-o", "part\(number).csv", folder: scratch.url)
            #expect(run.exitCode == (number == 3 ? 1 : 0))
        }
        let missing = try runMergeVit("gather", "part1.csv", "part3.csv", "-o", "all.csv", folder: scratch.url)
        #expect(missing.exitCode == 3)
        #expect(missing.errors.contains("are missing: no shard 2/3"))
        let gathered = try runMergeVit(
            "gather", "part3.csv", "part1.csv", "part2.csv", "-o", "all.csv", folder: scratch.url)
        #expect(gathered.exitCode == 0)
        #expect(
            gathered.errors.hasPrefix("gathered the rows of ") && gathered.errors.hasSuffix(" from 3 files; 1 failed\n")
        )
        #expect(try scratch.read("all.csv") == whole.standardOutput)
        // The output is no shard, and is replaced unless somebody has changed it.
        let parts = ["part1.csv", "part2.csv", "part3.csv"]
        let again = try runMergeVit(["gather", "all.csv"] + parts + ["-o", "all.csv"], folder: scratch.url)
        #expect(
            again.exitCode == 0 && again.errors.contains("warning: all.csv is the output, and is not read as a shard")
        )
        try scratch.write("all.csv", whole.standardOutput + [0x0A])
        let refused = try runMergeVit(["gather"] + parts + ["-o", "all.csv"], folder: scratch.url)
        #expect(refused.exitCode == 3 && refused.errors.contains("has been changed since mergevit wrote it"))
        #expect(try runMergeVit(["gather", "--force"] + parts + ["-o", "all.csv"], folder: scratch.url).exitCode == 0)
    }

    @Test func anArchiveIsLabelledAsItsFilesAre() throws {
        let images = "\(Samples.folder)/images"
        let tar = try runProgram("/bin/tar", ["-cf", scratch.path("set.tar"), "--sort=name", "-C", images, "signs"])
        try #require(tar.exitCode == 0)
        let files = try runMergeVit("label", "-q", "--bundle", bundle, "\(images)/signs")
        let members = try runMergeVit("label", "-q", "--bundle", bundle, "set.tar", folder: scratch.url)
        #expect(files.exitCode == 0 && members.exitCode == 0)
        let text = String(decoding: files.standardOutput, as: UTF8.self)
        #expect(
            String(decoding: members.standardOutput, as: UTF8.self)
                == text.replacing("\(images)/signs", with: "set.tar/signs"))
    }

    @Test(arguments: [
        ["--shard", "3/2", "-o", "x.csv"], ["--shard", "1/2"], ["--manifest"], ["--balance", "bytes", "-o", "x.csv"],
        ["--as-listed"], ["--endings", ".jpg"],
    ])
    func whatMakesNoSenseIsWrongUsage(_ options: [String]) throws {
        let run = try runMergeVit(["label", "--bundle", bundle, "/dev/null"] + options, folder: scratch.url)
        #expect(run.exitCode == 2 && run.standardOutput.isEmpty)
        #expect(try scratch.entries().isEmpty)
    }
}
