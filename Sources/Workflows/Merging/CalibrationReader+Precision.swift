import Adapters
import Compute
import Files
import VisionTransformers

extension CalibrationReader {
    /// The precision that a tuner computes in, with the labels that it keeps; nil if it is, or has to be, f32.
    func precision(of tuner: MergeTuner, _ choice: PassPrecision) throws -> CalibrationUse.ReducedPrecision? {
        let type = tuner.passes.precision
        guard type != .f32 else { return nil }
        let share = try tuner.labelsAsInF32()
        if share < LabelAgreement.requiredShare {
            let kept = percentage(roundingDown: share, decimals: 1)
            let found = "in \(type) single adapters keep \(kept) of the labels that they give in f32"
            guard choice == .bf16 else {
                let required = percentage(roundingDown: LabelAgreement.requiredShare, decimals: 1)
                warn("images are computed in f32: \(found), and \(required) are required")
                return nil
            }
            warn("\(found); in f32 the merge takes longer and keeps all of them")
        }
        return CalibrationUse.ReducedPrecision(type, sameLabel: share)
    }
}
