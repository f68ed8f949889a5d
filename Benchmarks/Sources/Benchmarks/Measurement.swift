import CAllocationCount
import CProcessorLimits
import Compute
import Files
import Glibc
import Synchronization
import Tensors
import VisionTransformers

/// Work measured in turn with the processor's limit; medians over the turns.
///
/// The ratio to the limit counts processor time on both sides, so that other programs on the machine, which take turns
/// on its cores, do not count; images per second are of the clock on the wall.
struct Measurement {
    let imagesPerSecond: Double
    /// Processor seconds that an image took, all threads together.
    let processorSeconds: Double
    /// Operations in a second of one core at best.
    let limit: Double
    /// Operations that were computed in a second of a core, as a part of the limit.
    let ratio: Double
    /// The same if the whole model's operations had been computed.
    let wholeRatio: Double
    /// How often memory was asked for in one call of what is measured, on average.
    let allocations: Double

    /// Measures something.
    ///
    /// - Parameters:
    ///   - threads: how many compute.
    ///   - precision: whose limit.
    ///   - operations: of one image.
    ///   - wholeOperations: of one image, with those that need not be computed.
    ///   - body: computes some images, and says how many.
    init(
        turns: Int, threads: Int, precision: ComputePrecision, operations: Double, wholeOperations: Double? = nil,
        _ body: () throws -> Int
    ) throws {
        _ = try body()
        var (rates, limits, ratios, processor): ([Double], [Double], [Double], [Double]) = ([], [], [], [])
        var (calls, asked) = (0, UInt64(0))
        for _ in 0..<turns {
            let earlier = try ProcessorLimit.measure(precision, threads: threads)
            let (start, processorStart) = (seconds(), seconds(CLOCK_PROCESS_CPUTIME_ID))
            var images = 0
            let before = mv_allocations()
            while seconds() - start < 0.5 {
                images += try body()
                calls += 1
            }
            asked += mv_allocations() - before
            rates.append(Double(images) / (seconds() - start))
            let spent = (seconds(CLOCK_PROCESS_CPUTIME_ID) - processorStart) / Double(images)
            let limit = try (earlier + ProcessorLimit.measure(precision, threads: threads)) / 2
            limits.append(limit)
            processor.append(spent)
            ratios.append(operations / spent / limit)
        }
        imagesPerSecond = median(rates)
        processorSeconds = median(processor)
        limit = median(limits)
        ratio = median(ratios)
        allocations = Double(asked) / Double(calls)
        wholeRatio = ratio * (wholeOperations ?? operations) / operations
    }

    /// The figures by name.
    var json: JSONObject {
        [
            "images_per_second": .number(imagesPerSecond, decimals: 3),
            "processor_seconds_per_image": .number(processorSeconds, decimals: 6),
            "limit_gigaoperations_per_second_and_core": .number(limit * 1e-9, decimals: 1),
            "ratio_to_limit": .number(ratio, decimals: 3),
            "allocations_per_call": .number(allocations, decimals: 1),
            "ratio_to_limit_of_the_whole_model": .number(wholeRatio, decimals: 3),
        ]
    }
}

/// What the processor can do with operands in registers.
enum ProcessorLimit {
    static var instructions: String { String(cString: mv_f32_instructions()) + (usesMatrices ? "+amx" : "") }

    /// Whether bf16 and int8 are measured against matrix instructions (AMX), as the engine uses them.
    static let usesMatrices = BFloat16Attention.hasTiles

    /// Operations in a second of one core, while so many work.
    static func measure(_ precision: ComputePrecision, threads: Int) throws -> Double {
        let pool = try WorkerPool(workers: threads)
        let sum = Mutex(0.0)
        pool.forEach(threads) { _, _ in
            let rate =
                switch precision {
                case .f32: mv_f32_limit(0.1)
                case .bf16: usesMatrices ? mv_bf16_matrix_limit(0.1) : mv_bf16_limit(0.1)
                case .int8: usesMatrices ? mv_int8_matrix_limit(0.1) : mv_int8_limit(0.1)
                }
            sum.withLock { $0 += rate }
        }
        return sum.withLock(\.self) / Double(threads)
    }
}

/// The middle value.
func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? .nan : sorted[sorted.count / 2]
}

/// Seconds since some fixed moment, or of another clock.
func seconds(_ clock: clockid_t = CLOCK_MONOTONIC) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
}
