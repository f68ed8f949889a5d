extension MergeMethod {
    /// Distillation: another method's merge whose weights are trained until it answers each task's images as that task's single
    /// adapter does. The training itself is `Distillation` in the module Training.
    package static let distill = MergeMethod(
        name: "distill",
        formula:
            "ΔW = ΔW₀ + D, D = argmin Σ_t E ‖f - f_t‖² / var f_t + kl · T² · KL(p_t ‖ p), ΔW₀ of --from",
        source: "Hinton et al., Distilling the Knowledge in a Neural Network, 2015 (arXiv 1503.02531)",
        parameters: [
            Parameter("steps", default: 1200, in: 0...1_000_000, isWhole: true, "optimiser steps"),
            Parameter("batch", default: 8, in: 1...4096, isWhole: true, "images of each task in a step"),
            Parameter("lr", default: 3e-4, in: 0...1, isAboveLower: true, "the largest learning rate of AdamW"),
            Parameter("kl", default: 1, in: 0...1000, "how much answers count beside features"),
            Parameter("temperature", default: 2, in: 0...100, isAboveLower: true, "T, which logits are divided by"),
            Parameter(
                "rank", default: 0, in: 0...65536, isWhole: true, "rank of D; 0 trains every element"),
            Parameter("decay", default: 0.01, in: 0...1000, "weight decay of D"),
            Parameter(
                "area", default: 0.5, in: 0...1, isAboveLower: true,
                "smallest part of an image in a view; 1 is all"),
            Parameter("flip", default: 1, in: 0...1, isWhole: true, "1 mirrors every second view"),
        ],
        usesImages: true, isTrained: true
    ) { _, _ in throw SettingError(reason: "distill trains another method's merge and has none of its own") }
}
