import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// Training with bf16 products.
@Suite struct TrainPrecisionTests {
    let scene: TrainingScene
    var scratch: TemporaryFolder { scene.scratch }

    static let bf16 = TrainingScene.short + ["--precision", "bf16"]

    /// Whether the processor has instructions for bf16 products, by what the system says of it.
    static let isThere: Bool = {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        return text.contains("avx512_bf16") || text.contains("amx_bf16")
    }()

    init() throws { scene = try TrainingScene() }

    @Test(.enabled(if: isThere, "the processor has no instructions for bf16"))
    func anAdapterLearns() throws {
        try scene.runQuietly("a", Self.bf16 + ["--dropout", "0.1", "--threads", "1"])
        try scene.runQuietly("b", Self.bf16 + ["--dropout", "0.1", "--threads", "3"])
        #expect(try scratch.files("a") == scratch.files("b"))
        #expect(try scene.record("a")["options"]?.objectValue?["precision"] == "bf16")
        #expect(try scene.accuracy("a") >= 0.9)
        try scene.runQuietly("c", TrainingScene.short + ["--dropout", "0.1"])
        #expect(try scene.record("c")["options"]?.objectValue?["precision"] == "f32")
        #expect(try scratch.files("a")["adapter_model.safetensors"] != scratch.files("c")["adapter_model.safetensors"])
    }

    /// The features of a head alone are computed in the precision, too.
    @Test(.enabled(if: isThere, "the processor has no instructions for bf16"))
    func aHeadAloneLearns() throws {
        let head = ["--head-only", "--epochs", "20", "--batch-size", "8"]
        for (name, options) in [("a", ["--precision", "bf16"]), ("f", []), ("f32", ["--precision", "f32"])] {
            try scene.runQuietly(name, head + options)
        }
        #expect(try scene.record("a")["options"]?.objectValue?["precision"] == "bf16")
        #expect(try scene.record("f")["options"]?.objectValue?["precision"] == nil)
        #expect(try scratch.files("f") == scratch.files("f32"))
        let weights = try scratch.files("a").filter { $0.key.hasSuffix(".safetensors") }
        #expect(try weights != scratch.files("f").filter { $0.key.hasSuffix(".safetensors") } && !weights.isEmpty)
        #expect(try scene.accuracy("a") >= 0.9)
    }

    @Test(.enabled(if: isThere, "the processor has no instructions for bf16"))
    func aCheckpointIsOfOnePrecision() throws {
        _ = try scene.interrupted("a", Self.bf16, by: SIGTERM, after: 2)
        let other = try scene.run("a", TrainingScene.short + ["--resume"])
        #expect(other.exitCode == 3)
        #expect(
            other.errors
                == "mergevit: error: .a.training: belongs to another run: precision was bf16, now f32\n")
        try scene.runQuietly("a", Self.bf16 + ["--resume"])
        try scene.runQuietly("whole", Self.bf16)
        #expect(try scratch.files("a") == scratch.files("whole"))
    }

    /// The library is told to know no more than AVX-512 as it first was, as on a processor that has no more.
    @Test func withoutInstructionsForItTheRunIsRefused() throws {
        let run = try scene.run("a", Self.bf16, environment: ["ONEDNN_MAX_CPU_ISA": "AVX512_CORE"])
        #expect(run.exitCode == 3)
        #expect(
            run.errors
                == "mergevit: error: compute in bf16: the processor has neither AVX512_BF16 nor AMX\n")
        #expect(try scratch.entries() == ["d"])
        let head = try scene.run(
            "h", ["--head-only", "--precision", "bf16"], environment: ["ONEDNN_MAX_CPU_ISA": "AVX512_CORE"])
        #expect(head.exitCode == 3 && head.errors == run.errors)
    }
}
