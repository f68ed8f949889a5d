import Adapters
import Compute
import VisionTransformers

extension CalibrationReader {
    /// The precision that a tuner computes in, with the labels that it keeps; nil if it is, or has to be, f32.
    func precision(of tuner: MergeTuner, _ choice: PassPrecision) throws -> CalibrationUse.ReducedPrecision? {
        let type = tuner.passes.precision
        guard type != .f32 else { return nil }
        let share = try tuner.labelsAsInF32()
        if share < LabelAgreement.requiredShare {
            let found = "in \(type) single adapters keep \(Self.percent(share)) of the labels that they give in f32"
            guard choice == .bf16 else {
                let required = Self.percent(LabelAgreement.requiredShare)
                warn("images are computed in f32: \(found), and \(required) are required")
                return nil
            }
            warn("\(found); in f32 the merge takes longer and keeps all of them")
        }
        return CalibrationUse.ReducedPrecision(type, sameLabel: share)
    }

    /// A share, rounded down: what is not enough must not look as if it were.
    private static func percent(_ share: Double) -> String {
        let tenths = Int(share * 1000)
        return "\(tenths / 10).\(tenths % 10) %"
    }
}
