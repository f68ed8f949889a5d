import Foundation
import Glibc
import TestSupport
import Testing

/// Packed weights beside a bundle: found by the next run, and in the way of no other command.
@Suite struct LabelPackedTests {
    let scratch: TemporaryFolder
    init() throws { scratch = try TemporaryFolder() }

    static let image = Samples.image("signs/stop.png")

    /// A bundle of one's own whose files have settled: of those that have just changed nothing is kept.
    func bundle(_ name: String = "bundle") throws {
        try scratch.copy(Samples.only("corn"), to: name)
        usleep(1_100_000)
    }

    func packed(_ name: String = "bundle") -> [String] { (try? scratch.entries("\(name)/.packed")) ?? [] }

    @Test(arguments: ["f32", "auto"]) func theSameBytesWithAndWithout(_ precision: String) throws {
        try bundle()
        let arguments = ["--precision", precision, "--all-scores", Self.image]
        let expected = try label(scratch.path("bundle"), ["--cache", "never"] + arguments)
        #expect(try label(scratch.path("bundle"), arguments) == expected)
        #expect(packed().isEmpty)
        #expect(try label(scratch.path("bundle"), ["--cache", "always"] + arguments) == expected)
        #expect(packed().count == 1)
        #expect(try label(scratch.path("bundle"), ["--cache", "always"] + arguments) == expected)
        #expect(packed().count == 1)
    }

    /// Which files there are; those that are written again are others.
    private func inodes() throws -> [String: UInt64] {
        try Dictionary(
            uniqueKeysWithValues: packed().map { name in
                let attributes = try FileManager.default.attributesOfItem(
                    atPath: scratch.path("bundle/.packed/\(name)"))
                return (name, try #require(attributes[.systemFileNumber] as? UInt64))
            })
    }

    /// The backbone, the base as streams read it, and each stream are kept by themselves, in any precision.
    @Test func streamsArePackedOnce() throws {
        let merged = try merge(
            ["--streams", "--scale", "0.3", "-o", "bundle"] + adapters(["corn", "aerial"]), in: scratch)
        try #require(merged.exitCode == 0, "\(merged.errors)")
        usleep(1_100_000)
        for precision in ["f32", "bf16", "int8"] {
            func run(_ cache: String, _ tasks: String = "corn,aerial") throws -> Finished {
                try runMergeVit(
                    [
                        "label", "--bundle", "bundle", "--cache", cache, "--tasks", tasks, "--precision", precision,
                        "--all-scores", Self.image,
                    ], folder: scratch.url)
            }
            let expected = try run("never")
            // A processor without the instructions refuses bf16 and int8.
            guard expected.exitCode == 0 else {
                #expect(precision != "f32" && expected.errors.contains("the processor has"), "\(expected.errors)")
                continue
            }
            let one = try run("always", "corn")
            #expect(one.exitCode == 0)
            #expect(packed().filter { $0.contains("-stream") }.count >= 2)
            for _ in 0..<2 {
                #expect(try run("always").standardOutput == expected.standardOutput, "\(precision)")
            }
            // The second start wrote nothing.
            let files = try inodes()
            #expect(try run("always", "corn").standardOutput == one.standardOutput)
            #expect(try inodes() == files)
            #expect(packed().filter { $0.hasPrefix("\(precision)-") }.count >= 1)
        }
        // One of each precision for the backbone; int8 reads the streams of bf16, or of f32 where there is no bf16.
        #expect([4, 5, 8, 9].contains(packed().count), "\(packed())")
    }

    @Test(.enabled(if: LabelFaultTests.shim != nil), arguments: [("write", 0), ("write", 5000)], [ENOSPC, EIO])
    func aFailingDiskIsNobodysError(_ fault: (call: String, after: Int), _ error: Int32) throws {
        try bundle()
        let run = try runMergeVit(
            ["label", "-q", "--cache", "always", "--bundle", "bundle", Self.image], folder: scratch.url,
            environment: [
                "LD_PRELOAD": try #require(LabelFaultTests.shim), "FAULT_CALL": fault.call, "FAULT_PATH": ".packed",
                "FAULT_AFTER": "\(fault.after)", "FAULT_ERRNO": "\(error)",
            ])
        #expect(run.exitCode == 0 && run.errors.isEmpty, "\(run.errors)")
        #expect(packed().isEmpty)
        #expect(try run.standardOutput == label("bundle", [Self.image], folder: scratch.url.path))
    }

    /// With -o the model's SHA-256 is part of the journal; it is computed once for files that stay as they are.
    @Test func theDigestThatIsKeptIsThatOfTheWeights() throws {
        try bundle()
        func run() throws {
            _ = try label(scratch.path("bundle"), ["--cache", "always", "-o", scratch.path("out.csv"), Self.image])
        }
        try run()
        #expect(packed().count == 2 && packed().contains("sha256.json"))
        let kept = try scratch.read("bundle/.packed/sha256.json")
        // Without bundle.json the folder is a checkpoint, of which inspect says the digests of the files.
        try scratch.copy(scratch.path("bundle"), to: "plain")
        try scratch.remove("plain/bundle.json")
        let inspected = try runMergeVit(["inspect", "--json", "plain"], folder: scratch.url)
        let digest = try #require(String(decoding: kept, as: UTF8.self).split(separator: "\"").first { $0.count == 64 })
        #expect(inspected.exitCode == 0)
        #expect(String(decoding: inspected.standardOutput, as: UTF8.self).contains(digest))
        try run()
        #expect(try scratch.read("bundle/.packed/sha256.json") == kept)
    }

    @Test func otherCommandsDoNotSeeThem() throws {
        try bundle()
        _ = try label(scratch.path("bundle"), ["--cache", "always", Self.image])
        #expect(packed().count == 1)
        let copy = try runMergeVit(
            [
                "quantize", "-q", "--bundle", "bundle", "--calibration", Samples.folder + "/images", "--images", "2",
                "-o", "copy",
            ],
            folder: scratch.url)
        #expect(copy.exitCode == 0, "\(copy.errors)")
        #expect(try !scratch.entries("copy").contains(".packed"))
        let inspected = try runMergeVit(["inspect", "bundle"], folder: scratch.url)
        #expect(inspected.exitCode == 0 && !inspected.standardOutput.isEmpty)
        let merge = [
            "merge", "-q", "--base", Samples.base, "--adapter", "corn=\(Samples.adapter("corn"))", "-o", "bundle",
        ]
        let again = try runMergeVit(merge + ["--force"], folder: scratch.url)
        #expect(again.exitCode == 0, "\(again.errors)")
        #expect(try !scratch.entries("bundle").contains(".packed"))
        // What is not packed weights is not ours to remove.
        try scratch.write("bundle/.packed/notes.txt", [0x61])
        let refused = try runMergeVit(merge + ["--force"], folder: scratch.url)
        #expect(refused.exitCode == 3 && refused.errors.contains(".packed"))
        #expect(packed() == ["notes.txt"])
    }
}
