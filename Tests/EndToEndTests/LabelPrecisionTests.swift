import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// `label`, `evaluate` and `quantize` in every precision that the processor has.
@Suite struct LabelPrecisionTests {
    let scratch: TemporaryFolder

    init() throws { scratch = try TemporaryFolder() }

    /// What the system says of the processor.
    private static let processor = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    static let precisions =
        ["f32"] + (processor.contains("avx512_bf16") ? ["bf16"] : [])
        + (processor.contains("avx512_vnni") ? ["int8"] : [])
    static let hasAll = precisions.count == 3

    private func label(_ bundle: String, _ options: [String], isa: String? = nil) throws -> Finished {
        try runMergeVit(
            ["label", "-q", "--bundle", bundle] + options + ["images"], folder: URL(fileURLWithPath: Samples.folder),
            environment: isa.map { ["ONEDNN_MAX_CPU_ISA": $0] } ?? [:])
    }

    /// The sample bundle rounded for the sample pictures, and whether `auto` is to take int8 for it.
    private func quantized() throws -> (path: String, isTaken: Bool) {
        let path = scratch.path("quantized")
        let run = try runMergeVit(
            ["quantize", "--bundle", try Samples.six(), "--calibration", Samples.folder + "/images", "-o", path])
        #expect(run.exitCode == 0, "\(run.errors)")
        var lines = run.errors.split(separator: "\n")
        let isTaken = !lines[0].hasSuffix("of the labels are kept: --precision auto will not use int8")
        if !isTaken { lines.removeFirst() }
        #expect(lines.removeFirst() == "rounded for 34 images, wrote \(path)", "\(run.errors)")
        guard Self.precisions.contains("int8") else {
            #expect(lines[0].hasPrefix("labels were not compared"), "\(run.errors)")
            return (path, false)
        }
        let inFloats = lines.removeFirst()
        #expect(inFloats.hasPrefix("left in floats, as rounding them harms most: layers.0.attention"), "\(inFloats)")
        #expect(lines[0].hasPrefix("labels as in f32 on these: 9"), "\(run.errors)")
        #expect(Samples.tasks.allSatisfy { lines[0].contains("\($0) ") })
        return (path, isTaken)
    }

    @Test(arguments: precisions) func fewLabelsChangeAndNoByteDoesForThreadsAndBatches(_ precision: String) throws {
        let bundle = try Samples.six()
        let expected = try label(bundle, ["--precision", precision, "--threads", "1"])
        #expect(expected.exitCode == 0, "\(expected.errors)")
        if precision == "f32" { #expect(expected.standardOutput == (try Samples.csv())) }
        #expect(try Samples.agreement(expected.standardOutput) >= 0.97)
        for options in [["--batch-size", "1", "--threads", "2"], ["--batch-size", "64", "--threads", "5"]] {
            #expect(
                try label(bundle, ["--precision", precision] + options).standardOutput == expected.standardOutput)
        }
    }

    @Test func quantizeCopiesTheBundleAndRounds() throws {
        let bundle = try Samples.six()
        let (path, isTaken) = try quantized()
        let names = { (folder: String) in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
        #expect(try names(path) == (names(bundle) + ["int8.safetensors"]).sorted())
        for name in try names(bundle) { #expect(try readBytes("\(path)/\(name)") == readBytes("\(bundle)/\(name)")) }
        // What f32 says does not change.
        #expect(try label(path, []).standardOutput == (try Samples.csv()))
        let again = try runMergeVit([
            "quantize", "-q", "--bundle", path, "--calibration", Samples.folder + "/images", "-o", path, "--force",
        ])
        #expect(again.exitCode == 0 && again.errors.isEmpty)
        guard Self.hasAll else { return }
        let int8 = try label(path, ["--precision", "int8"])
        #expect(try Samples.agreement(int8.standardOutput) >= 0.97)
        let bf16 = try label(path, ["--precision", "bf16"]).standardOutput
        #expect(
            try label(path, ["--precision", "auto"]).standardOutput == (isTaken ? int8.standardOutput : bf16))
        // Without rounded weights auto does not take int8.
        #expect(
            try label(bundle, ["--precision", "auto"]).standardOutput
                == label(bundle, ["--precision", "bf16"]).standardOutput)
        #expect(try label(bundle, ["--precision", "int8"]).standardOutput != int8.standardOutput)
    }

    @Test func autoSaysWhatItTookAndInspectWhatWasFound() throws {
        let (path, isTaken) = try quantized()
        let picture = Samples.image("signs/stop.png")
        func notice(_ bundle: String, _ isa: String? = nil) throws -> String {
            let run = try runMergeVit(
                ["label", "--bundle", bundle, "--precision", "auto", picture], folder: scratch.url,
                environment: isa.map { ["ONEDNN_MAX_CPU_ISA": $0] } ?? [:])
            #expect(run.exitCode == 0, "\(run.errors)")
            return String(run.errors.prefix { $0 != "\n" })
        }
        #expect(
            try notice(path, "AVX2")
                == "mergevit: --precision auto is f32: the processor has no instructions for bf16; it has none for int8"
        )
        let report = try runMergeVit("inspect", "--json", path)
        let described = try JSON(parsing: report.standardOutput).objectValue
        let found = try #require(described?["int8"]?.objectValue)
        #expect(found["auto_takes_int8"] == .bool(isTaken) && found["quantized_groups"] == .int(1))
        #expect(described?["sha256"]?.objectValue?["int8.safetensors"] != nil)
        let plain = try runMergeVit("inspect", "--json", Samples.six())
        #expect(try JSON(parsing: plain.standardOutput).objectValue?["int8"] == nil)
        guard Self.hasAll else { return }
        let shares = found["same_labels_as_f32"]?.objectValue
        #expect(found["left_in_floats"]?.arrayValue?.first == .string("layers.0.attention"))
        // The last of the six blocks computes scores of CLS alone, in floats.
        let scores = try #require(found["int8_attention_scores"]?.arrayValue)
        let blocks = (0..<5).map { JSON.string("layers.\($0).attention_scores") }
        #expect(scores == blocks.filter(scores.contains))
        #expect(shares?.keys == Samples.tasks && found["compared_images"]?.intValue ?? 0 > 0)
        #expect(try runMergeVit("inspect", path).output.contains("\nint8:\n  quantized_groups: 1\n"))
        let bf16 = "mergevit: --precision auto is bf16: the processor has instructions for it; "
        #expect(try notice(Samples.six()) == bf16 + "the bundle is not quantized to int8")
        let said = try notice(path)
        #expect(
            said.hasPrefix((isTaken ? "mergevit: --precision auto is int8: " : bf16) + "quantize found ")
                && said.hasSuffix(" % of the labels as in f32; 99.00 % are required"), "\(said)")
        let evaluated = try runMergeVit(
            "evaluate", "--bundle", path, "--precision", "auto", "--data",
            "aerial=\(Samples.folder)/labels-aerial.csv")
        #expect(evaluated.errors.contains("\n\(said)\n"))
    }

    @Test func whatCannotBeMeasuredIsNamed() throws {
        try FileManager.default.createDirectory(atPath: scratch.path("none"), withIntermediateDirectories: true)
        let target = scratch.path("out")
        let empty = try runMergeVit([
            "quantize", "--bundle", try Samples.six(), "--calibration", scratch.path("none"), "-o", target,
        ])
        #expect(empty.exitCode == 3)
        #expect(empty.errors.contains("expected images, found none"))
        #expect(!FileManager.default.fileExists(atPath: target))
        #expect(try runMergeVit(["quantize", "--bundle", "x", "-o", "y"]).exitCode == 2)
        let path = try quantized().path
        try Data("{}".utf8).write(to: URL(fileURLWithPath: "\(path)/int8.safetensors"))
        #expect(try label(path, []).exitCode == 0)
        guard Self.precisions.contains("int8") else { return }
        let damaged = try label(path, ["--precision", "int8"])
        #expect(damaged.exitCode == 3 && damaged.errors.contains("int8.safetensors"))
    }

    @Test func evaluateSaysThePrecisionUnlessItIsF32() throws {
        for precision in Self.precisions {
            let report = scratch.path("report-\(precision)")
            let run = try runMergeVit([
                "evaluate", "-q", "--bundle", try Samples.six(), "--data",
                "aerial=\(Samples.folder)/labels-aerial.csv", "--precision", precision, "-o", report,
            ])
            #expect(run.exitCode == 0, "\(run.errors)")
            let metrics = try JSON(contentsOf: "\(report)/metrics.json").objectValue
            let said = metrics?["model"]?.objectValue?["precision"]?.stringValue
            #expect(said == (precision == "f32" ? nil : precision))
        }
    }

    /// Processors with less, as the numeric library lets one be chosen.
    @Test(
        .enabled(if: hasAll, "the processor has not all that is to be taken from it"),
        arguments: ["SSE41", "AVX2", "AVX512_CORE", "AVX512_CORE_VNNI"])
    func processorsWithLessAreRightOrRefused(_ isa: String) throws {
        let (path, isTaken) = try quantized()
        let plain = try label(path, [], isa: isa)
        #expect(plain.exitCode == 0)
        #expect(try Samples.agreement(plain.standardOutput) == 1)
        let narrow = try label(path, ["--precision", "bf16"], isa: isa)
        #expect(narrow.exitCode == 3)
        #expect(narrow.errors.contains("compute in bf16: the processor has neither AVX512_BF16 nor AMX"))
        let rounded = try label(path, ["--precision", "int8"], isa: isa)
        let auto = try label(path, ["--precision", "auto"], isa: isa)
        if isa == "AVX512_CORE_VNNI" {
            #expect(rounded.exitCode == 0)
            #expect(try Samples.agreement(rounded.standardOutput) >= 0.97)
            #expect(auto.standardOutput == (isTaken ? rounded : plain).standardOutput)
        } else {
            #expect(rounded.exitCode == 3)
            #expect(rounded.errors.contains("compute in int8: the processor has no AVX512_VNNI"))
            #expect(auto.standardOutput == plain.standardOutput)
        }
    }
}
