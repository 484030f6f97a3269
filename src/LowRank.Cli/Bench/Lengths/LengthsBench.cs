using System.Diagnostics;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Models;
using LowRank.Tensors;
using LowRank.Tensors.Native;
using LowRank.Tokenization;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Lengths;

/// <summary>Measures training steps on rows of real lengths: a plain loop, packing, and prompt sharing, in turns.</summary>
internal static class LengthsBench
{
    private const int Seed = 1;

    public static LengthsMeasurement Run(LengthsOptions options)
    {
        options.Check();
        set_num_threads(options.Threads ?? ProcessorCores.Physical());
        using BenchFolder folder = BenchFolder.Open(options.Shape);
        using PretrainedModel model = PretrainedModel.Open(folder.Path);
        Tokenizer tokenizer = Tokenizer.Load(options.Tokenizer);
        IReadOnlyList<TokenizedExample> rows = ExampleLoader.Load(options.Data, tokenizer, new ExampleOptions
        {
            VocabularySize = model.Network.VocabularySize, MaxLength = Math.Min(options.MaxLength, model.Network.MaxPositions),
        }).Examples;
        // B is drawn too: with B = 0 the gradient of A would be 0, and nothing could be compared.
        using Adapter adapter = Adapter.Create(model, new LoraConfig
        {
            Rank = options.Rank, Alpha = 2 * options.Rank, TargetModules = BenchTargets.Select(options.Targets), InitialWeights = InitialWeights.False,
        }, Seed);
        adapter.Attach();
        return Measure(model.Decoder, new TrainedAdapter(adapter), rows, options);
    }

    private static LengthsMeasurement Measure(Decoder model, TrainedAdapter trained, IReadOnlyList<TokenizedExample> rows, LengthsOptions options)
    {
        var sharing = new CausalObjective(model, new RowBatching { SharePrompts = PromptSharing.Grouped });
        var packing = new CausalObjective(model, new RowBatching { SharePrompts = PromptSharing.Off });
        var plain = new PlainObjective(model);
        var drawn = new BatchPlan(rows, options.Batch, 1, shuffle: true, Seed);
        var grouped = new BatchPlan(rows, options.Batch, 1, shuffle: true, Seed, sharing.Arranger);
        (IObjective Objective, BatchPlan Plan, LoopMeasurement Found)[] loops =
            [(plain, drawn, new()), (packing, drawn, new()), (plain, grouped, new()), (sharing, grouped, new())];
        using var runner = new LoopRunner(trained);
        for (int step = 0; step <= options.Steps; step++)
        {
            foreach ((IObjective objective, BatchPlan plan, LoopMeasurement found) in loops)
            {
                StepBatches batches = plan.Step(step % plan.StepsPerEpoch);
                if (step == 0)
                {
                    NativeAllocator.ReturnFreedMemory(); // of the loop before
                    ProcessMemory.ResetPeak();
                    runner.Run(objective, batches);
                    found.PeakBytes = ProcessMemory.PeakBytes();
                    continue;
                }
                (StepOutcome outcome, double seconds, double processor) = runner.Run(objective, batches);
                IReadOnlyList<IExample> taken = [.. batches.MicroBatches.SelectMany(batch => batch)];
                found.Add(batches.PredictedLabels, taken.Sum(row => (long)row.Tokens), batches.MicroBatches.Sum(objective.Arranger.Positions), seconds, processor, outcome.Loss, outcome.GradientNorm);
            }
        }
        return new LengthsMeasurement
        {
            Rows = rows.Count, Prompts = rows.Distinct(PromptComparer.Instance).Count(),
            Plain = loops[0].Found, Packed = loops[1].Found, PlainGrouped = loops[2].Found, Shared = loops[3].Found,
        };
    }

    // At rate 0: every loop meets the same weights.
    private sealed class LoopRunner(TrainedAdapter trained) : IDisposable
    {
        private readonly Dictionary<IObjective, StepRunner> runners = [];
        private long number;

        public (StepOutcome Outcome, double Seconds, double ProcessorSeconds) Run(IObjective objective, StepBatches batches)
        {
            if (!runners.TryGetValue(objective, out StepRunner? runner))
                runners[objective] = runner = new StepRunner(objective, trained, new TrainingOptions { Seed = Seed });
            TimeSpan used = Environment.CpuUsage.TotalTime;
            long started = Stopwatch.GetTimestamp();
            StepOutcome outcome = runner.Run(batches, 0, ++number);
            return (outcome, Stopwatch.GetElapsedTime(started).TotalSeconds, (Environment.CpuUsage.TotalTime - used).TotalSeconds);
        }

        public void Dispose()
        {
            foreach (StepRunner runner in runners.Values) runner.Dispose();
        }
    }
}
