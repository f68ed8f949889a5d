import Adapters
import Files
import Images
import VisionTransformers

/// Looks for the token merging with the fewest operations that keeps a share of the labels of f32 with all tokens.
///
/// Of each kind of schedule, the most merging that keeps the share on half of the images is found by bisection. Heads
/// are aligned with it on this half: from the features of merged tokens in eight bits to those of all tokens in f32. Of
/// these schedules the one with the fewest operations is taken that keeps the share on the other half, too, or none.
struct TokenMergingSearch {
    /// What was found.
    struct Found {
        let merging: KeptTokenMerging
        /// The aligned heads of the tasks whose predictions they bring nearer.
        let heads: [Head]
    }

    /// The fewest images that heads are aligned on; half of them choose the ridge.
    private static let fewestImages = 40

    /// How a number of tokens is spread over the blocks. All merge as many tokens, at most, for the same level.
    private enum Kind: CaseIterable {
        /// As many in each block.
        case constant
        /// None in the first third.
        case late
        /// Most in the first block, none in the last.
        case falling

        /// The tokens that a block merges.
        func count(_ level: Int, layer: Int, of layers: Int) -> Int {
            switch self {
            case .constant: level
            case .late: layer < layers / 3 ? 0 : level * layers / (layers - layers / 3)
            case .falling: layers < 2 ? level : (2 * level * (layers - 1 - layer) + (layers - 1) / 2) / (layers - 1)
            }
        }
    }

    private let configuration: BackboneConfiguration
    private let size: ImageSize
    private let exact, unmerged: ModelLogits
    /// The task of each image; nil for any.
    private let owners: [String?]

    init(
        _ configuration: BackboneConfiguration, _ size: ImageSize, exact: ModelLogits, unmerged: ModelLogits,
        owners: [String?]
    ) {
        (self.configuration, self.size) = (configuration, size)
        (self.exact, self.unmerged, self.owners) = (exact, unmerged, owners)
    }

    /// Images to choose by are the even ones, and the others check the choice.
    private func half(_ remainder: Int) -> [Int] { (0..<exact.images).filter { $0 % 2 == remainder } }

    private func agreement(_ logits: ModelLogits, on images: [Int]) -> LabelAgreement {
        logits.agreement(with: exact, on: images, owners: owners)
    }

    /// Searches.
    ///
    /// - Parameters:
    ///   - keep: the mean share of labels.
    ///   - logits: computes a schedule for the images.
    func run(keep: Double, _ logits: (TokenMerging) throws -> ModelLogits) throws -> Found {
        let (chosenBy, checkedBy) = (half(0), half(exact.images > 1 ? 1 : 0))
        var found: [(schedule: TokenMerging, logits: ModelLogits)] = []
        let grid = configuration.grid(for: size)
        let most = grid.height * grid.width / configuration.layers
        for kind in Kind.allCases {
            // Of levels from 1, all below `low` keep enough, and none from `high` on.
            var (low, high) = (1, most + 1)
            while low < high {
                let level = (low + high) / 2
                let schedule = TokenMerging(configuration, size) {
                    kind.count(level, layer: $0, of: configuration.layers)
                }
                let result = try logits(schedule)
                if agreement(result, on: chosenBy).mean >= keep {
                    found.append((schedule, result))
                    low = level + 1
                } else {
                    high = level
                }
            }
        }
        found.sort { $0.logits.operationsPerImage < $1.logits.operationsPerImage }
        for (schedule, result) in found {
            let (aligned, heads) = try aligning(result, on: chosenBy)
            let kept = agreement(aligned, on: checkedBy)
            guard kept.mean >= keep else { continue }
            let cost = result.operationsPerImage / unmerged.operationsPerImage
            return Found(
                merging: KeptTokenMerging(schedule, required: keep, cost: cost, agreement: kept), heads: heads)
        }
        let none = TokenMerging(configuration, size) { _ in 0 }
        let kept = agreement(unmerged, on: checkedBy)
        return Found(merging: KeptTokenMerging(none, required: keep, cost: 1, agreement: kept), heads: [])
    }

    /// Logits with heads that are aligned where that brings predictions nearer to the exact ones, and these heads.
    ///
    /// The ridge is chosen, and whether a head is better, on every second of the images, or on those of the head's task
    /// among them if it has some; the map is then fitted on all of both.
    private func aligning(_ logits: ModelLogits, on images: [Int]) throws -> (logits: ModelLogits, heads: [Head]) {
        guard images.count >= Self.fewestImages else { return (logits, []) }
        let fitted = images.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        let others = images.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
        var (aligned, heads) = (logits, [Head]())
        for (position, head) in logits.heads.enumerated() {
            let own = others.filter { owners[$0] == head.task }
            let heldOut = own.isEmpty ? others : own
            func table(_ logits: ModelLogits, _ images: [Int]) -> FeatureTable {
                let (width, values) = logits.features(of: position, images: images)
                return FeatureTable(rows: images.count, width: width, values: values)
            }
            let result = try HeadAlignment.ofNearFeatures.align(
                head, merged: (table(logits, fitted), table(logits, heldOut)),
                single: (table(exact, fitted), table(exact, heldOut)))
            guard result.isBetter else { continue }
            let features = table(logits, Array(0..<logits.images))
            aligned = aligned.replacing(position) { features.logits($0, result.head) }
            heads.append(result.head)
        }
        return (aligned, heads)
    }
}
