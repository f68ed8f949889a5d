import Adapters
package import Evaluation

/// How near the answers of a merge are to those of a task's single adapter, with 95 % intervals.
package struct AgreementReport: Sendable, Equatable {
    /// The images that were looked at.
    package enum Images: Sendable, Equatable {
        /// Calibration images that were held out: not fitted, but the adapter was trained on them.
        case heldOut
        /// Drawn pictures that were held out.
        case heldOutDrawn
        /// Images that were given for nothing but this report.
        case holdout
    }

    /// The task.
    package let task: String
    /// The images that were looked at.
    package let images: Images
    /// How many they are.
    package let count: Int
    /// In how many groups of images that are alike.
    package let groups: Int
    /// The share of images with the answer of the single adapter; of regressions R², without an interval.
    package let sameLabel: Estimate
    /// Whether `sameLabel` is R².
    package let isRegression: Bool
    /// The divergence of the predictions, in nats.
    package let divergence: Estimate

    /// A report of answers to images in groups; nil without images.
    ///
    /// - Parameter groups: the group of each image.
    init?(_ task: String, _ images: Images, _ agreement: Agreement, groups: [Int]) {
        guard
            let divergence = Estimate.mean(
                of: agreement.divergences, groups: groups, within: 0...Double.infinity, task: task)
        else { return nil }
        (self.task, self.images, count, self.groups) = (task, images, groups.count, Set(groups).count)
        isRegression = agreement.same == nil
        sameLabel = agreement.same.flatMap { .share($0, groups: groups) } ?? Estimate(agreement.sameLabel, nil)
        self.divergence = divergence
    }
}
