package import Adapters

extension DistillationSettings {
    /// Steps in which the learning rate rises. They do not depend on the number of all steps, which may be decided once
    /// it is known how long a step takes.
    static let warmup = 32

    /// The learning rate of a step, counted from 0: a linear rise, then half a cosine to zero.
    ///
    /// - Parameter total: the number of all steps; it need not be known during the rise.
    func rate(_ step: Int, of total: Int?) -> Double {
        if step < Self.warmup { return learningRate * Double(step + 1) / Double(Self.warmup) }
        let fall = max((total ?? steps) - Self.warmup, 1)
        return LearningRateSchedule(.cosine, peak: learningRate, warmup: 0, steps: fall).rate(step - Self.warmup)
    }
}

extension Augmentation {
    /// The views of calibration images that distillation trains on.
    package init(_ settings: DistillationSettings) {
        self.init(crops: settings.smallestArea < 1, flips: settings.flips, smallestArea: settings.smallestArea)
    }
}
