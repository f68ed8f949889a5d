package import Adapters
import Compute
import VisionTransformers

/// The calibration images of a merge, and how its heads are aligned on them.
package struct CalibrationSettings: Sendable {
    /// How heads are aligned.
    package struct Alignment: Sendable, Equatable {
        /// The rank of the alignment, nil for full.
        package let rank: Int?

        /// An alignment.
        package init(rank: Int?) { self.rank = rank }
    }

    /// Where the unlabelled images of each task are from: folders, tables that name them, or a seed that draws them.
    package var sources: [String: CalibrationUse.Source]
    /// The folders of class folders, or tables, of tasks that are tuned by their labels, by task.
    package var labelled: [String: String]
    /// How heads are aligned; nil if they are not.
    package var alignment: Alignment?
    /// What tells which images are fitted or held out together; nil for near-duplicates by their features.
    package var pattern: NamePattern?
    /// Whether the images make fits of the tasks, by which `label` tells how well an image fits each.
    package var makesFits = false
    /// How many images are computed at the same time.
    package var threads: Int
    /// In which numbers they are computed.
    package var precision: PassPrecision

    /// Images.
    package init(
        sources: [String: CalibrationUse.Source], labelled: [String: String] = [:], alignment: Alignment? = nil,
        pattern: NamePattern? = nil, threads: Int, precision: PassPrecision = .f32
    ) {
        (self.sources, self.labelled, self.alignment) = (sources, labelled, alignment)
        (self.pattern, self.threads, self.precision) = (pattern, threads, precision)
    }

    /// How the images are computed, as long as nothing is known of what bf16 keeps of their labels.
    var passes: PassSettings { PassSettings(threads: threads, precision: precision.candidate) }
}

/// In which numbers passes over calibration images are computed.
package enum PassPrecision: String, Sendable, CaseIterable {
    case f32
    case bf16
    /// bf16 if the processor has instructions for it and single adapters keep their labels in it, else f32.
    case auto

    /// The type that is wanted unless it is found to change too many labels.
    var candidate: OperandType {
        switch self {
        case .f32: .f32
        case .bf16: .bf16
        case .auto: OperandType.bf16.isSupported ? .bf16 : .f32
        }
    }
}

/// Images that are used for nothing but a report of how well a merge agrees with its single adapters.
package struct HoldoutSettings: Sendable {
    /// The folders, or tables that name files, of each task that has some.
    package var folders: [String: [String]]
    /// What tells which images are alike; nil for near-duplicates by their features.
    package var pattern: NamePattern?
    /// How many images are computed at the same time.
    package var threads: Int

    /// Images.
    package init(folders: [String: [String]], pattern: NamePattern?, threads: Int) {
        (self.folders, self.pattern, self.threads) = (folders, pattern, threads)
    }
}
