import Files
import Foundation
import TestSupport
import Testing

/// `--merge-tokens`, and `quantize --keep`.
@Suite struct LabelTokenMergingTests {
    let scratch: TemporaryFolder

    init() throws { scratch = try TemporaryFolder() }

    private func label(_ options: [String], bundle: String? = nil) throws -> Finished {
        try runMergeVit(
            ["label", "--bundle", try bundle ?? Samples.six()] + options + ["images"],
            folder: URL(fileURLWithPath: Samples.folder))
    }

    @Test(arguments: LabelPrecisionTests.precisions)
    func fewLabelsChangeAndNoByteDoesForThreadsAndBatches(_ precision: String) throws {
        let merged = ["--merge-tokens", "2", "--precision", precision]
        let expected = try label(merged + ["--threads", "1"])
        #expect(expected.exitCode == 0, "\(expected.errors)")
        #expect(expected.errors.hasPrefix("mergevit: merging tokens, in each block: 2,2,"), "\(expected.errors)")
        #expect(try Samples.agreement(expected.standardOutput) >= 0.9)
        #expect(try label(["--precision", precision]).standardOutput != expected.standardOutput)
        for options in [["--batch-size", "1", "--threads", "2"], ["--batch-size", "64", "--threads", "5"]] {
            #expect(try label(merged + options).standardOutput == expected.standardOutput)
        }
    }

    @Test func noneAndZeroChangeNothing() throws {
        for schedule in ["none", "0", "auto"] {
            let run = try label(["--merge-tokens", schedule])
            #expect(run.exitCode == 0 && !run.errors.contains("merging"), "\(run.errors)")
            #expect(run.standardOutput == (try Samples.csv()))
        }
    }

    @Test func whatIsNoScheduleIsRefused() throws {
        for text in ["x", "-1", "1,,2", "1.5", ""] {
            let run = try label(["--merge-tokens", text])
            #expect(run.exitCode == 2 && run.standardOutput.isEmpty, "\(text): \(run.errors)")
        }
        let short = try label(["--merge-tokens", "1,2"])
        #expect(short.exitCode == 3)
        #expect(short.errors.contains("token merging: expected 6 numbers, one per block, found 2"), "\(short.errors)")
        #expect(
            try runMergeVit(["quantize", "--bundle", "b", "--calibration", "c", "--keep", "101", "-o", "x"])
                .exitCode == 2)
    }

    /// A run that merges other tokens does not resume another's rows, but starts over only when told to.
    @Test func runsWithOtherMergingAreNotResumed() throws {
        let output = scratch.path("rows.csv")
        let first = try label(["--merge-tokens", "2", "--manifest", "-o", output])
        #expect(first.exitCode == 0, "\(first.errors)")
        let manifest = try JSON(contentsOf: "\(output).manifest.json")
        #expect(manifest.serialized(indented: false).contains("\"--merge-tokens\": [2, 2, "))
        let reused = try label(["--reuse", output, "-o", scratch.path("other.csv")])
        #expect(reused.exitCode != 0 && reused.errors.contains("--merge-tokens"), "\(reused.errors)")
    }

    @Test func adaptersAreEvaluatedWithMerging() throws {
        let report = scratch.path("report")
        let run = try runMergeVit([
            "evaluate", "--no-project", "--bundle", try Samples.six(), "--data",
            "aerial=\(Samples.folder)/labels-aerial.csv", "--merge-tokens", "3", "-o", report,
        ])
        #expect(run.exitCode == 0 && run.errors.contains("merging tokens, in each block: 3,3,"), "\(run.errors)")
        let model = try JSON(contentsOf: "\(report)/metrics.json").objectValue?["model"]?.objectValue
        #expect(model?["token_merging"]?.arrayValue?.count == 6)
    }

    @Test(.enabled(if: LabelPrecisionTests.precisions.contains("int8"), "the processor has no int8"))
    func quantizeChoosesWhatKeepsTheLabels() throws {
        let path = scratch.path("fast")
        func quantize(_ keep: String) throws -> Finished {
            try runMergeVit([
                "quantize", "--force", "--bundle", try Samples.six(), "--calibration", Samples.folder + "/images",
                "--images", "8", "--keep", keep, "-o", path,
            ])
        }
        let run = try quantize("60")
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.errors.contains("\nmerging tokens, in each block: "), "\(run.errors)")
        let report = try JSON(parsing: runMergeVit("inspect", "--json", path).standardOutput).objectValue
        let found = try #require(report?["int8"]?.objectValue?["token_merging"]?.objectValue)
        let counts = try #require(found["merged_per_block"]?.arrayValue?.compactMap { $0.intValue })
        #expect(counts.count == 6 && counts.contains { $0 > 0 })
        #expect(found["keep"]?.doubleValue == 0.6 && (found["operations"]?.doubleValue ?? 2) < 1)
        #expect(report?["int8"]?.objectValue?["auto_takes_int8"] == .bool(true))
        let schedule = counts.map(String.init).joined(separator: ",")
        // auto merges what was found, and another precision nothing unless it is told to.
        let auto = try label(["--precision", "auto"], bundle: path)
        #expect(auto.exitCode == 0 && auto.errors.contains("merging tokens, in each block: \(schedule)\n"))
        #expect(auto.errors.contains("--precision auto is int8: quantize found "))
        for options in [["--merge-tokens", schedule], ["--merge-tokens", "auto"]] {
            let same = try label(["--precision", "int8"] + options, bundle: path)
            #expect(same.standardOutput == auto.standardOutput)
        }
        let exact = try label(["--merge-tokens", "auto"], bundle: path)
        #expect(exact.standardOutput == (try label(["--merge-tokens", schedule], bundle: path).standardOutput))
        let all = try label(["--precision", "int8"], bundle: path)
        #expect(all.standardOutput != auto.standardOutput && !all.errors.contains("merging"))
        #expect(try label([], bundle: path).standardOutput == (try Samples.csv()))
        // The same images give the same bytes.
        let bytes = try readBytes("\(path)/int8.safetensors")
        #expect(try quantize("60").exitCode == 0 && readBytes("\(path)/int8.safetensors") == bytes)
        let strict = try quantize("100")
        #expect(strict.exitCode == 0, "\(strict.errors)")
    }

    /// With enough images heads are aligned with merged tokens, and both commands name their tasks.
    @Test(.enabled(if: LabelPrecisionTests.precisions.contains("int8"), "the processor has no int8"))
    func quantizeAlignsHeadsWithMergedTokens() throws {
        let path = scratch.path("aligned"), images = Samples.folder + "/images"
        // The same pictures on both sides, so that an aligned head can hardly be worse.
        let folders = try (0..<4).flatMap { number in
            let copy = scratch.path("images\(number)")
            try FileManager.default.copyItem(atPath: images, toPath: copy)
            return ["--calibration", copy]
        }
        let run = try runMergeVit(
            ["quantize", "--bundle", try Samples.six(), "--images", "24", "--keep", "60", "-o", path] + folders)
        #expect(run.exitCode == 0, "\(run.errors)")
        let lines = run.errors.split(separator: "\n").filter { $0.hasPrefix("heads aligned with merged tokens: ") }
        let said = try #require(lines.first)
        let report = try JSON(parsing: runMergeVit("inspect", "--json", path).standardOutput).objectValue
        let found = report?["int8"]?.objectValue?["token_merging"]?.objectValue
        let tasks = try #require(found?["aligned_heads"]?.arrayValue?.compactMap { $0.stringValue })
        #expect(!tasks.isEmpty && said.hasSuffix(": " + tasks.joined(separator: ", ")))
        // Most labels are still those of f32 with all tokens.
        let auto = try label(["--precision", "auto"], bundle: path)
        #expect(auto.exitCode == 0, "\(auto.errors)")
        #expect(try Samples.agreement(auto.standardOutput) >= 0.6)
    }
}
