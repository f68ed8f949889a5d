import ArgumentParser
import VisionTransformers

/// What `--precision` of `label` and `evaluate` takes.
enum PrecisionChoice: String, CaseIterable, ExpressibleByArgument {
    case f32
    case bf16
    case int8
    /// The fastest that the processor has instructions for and that keeps the labels of f32 nearly all.
    case auto

    /// The precision that it stands for on this processor.
    ///
    /// - Parameter keepsLabelsInInt8: whether `quantize` has found that int8 keeps the model's labels, without which `auto` does not
    ///   take it.
    func precision(keepsLabelsInInt8: @autoclosure () throws -> Bool) rethrows -> ComputePrecision {
        switch self {
        case .f32: .f32
        case .bf16: .bf16
        case .int8: .int8
        case .auto:
            try ComputePrecision.allCases.last { try $0.isSupported && ($0 != .int8 || keepsLabelsInInt8()) } ?? .f32
        }
    }
}
