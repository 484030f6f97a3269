using LowRank.Adapters;
using LowRank.Data;
using LowRank.Models;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

[Collection("alone")]
public sealed class AdapterInvariantTests
{
    public static TheoryData<string> Decoders => Golden.Decoders;

    [Theory, MemberData(nameof(Decoders))]
    public void A_new_adapter_changes_nothing_since_B_is_zero(string family)
    {
        using var golden = new Golden(family);
        using var scope = NewDisposeScope();
        using Adapter adapter =
            Adapter.Create(golden.Model, new LoraConfig { TargetModules = ModuleSelection.AllLinear }, seed: 1);
        Tensor before = golden.Model.Decoder.Forward(golden.Read("input_ids"));
        adapter.Attach();
        Assert.Equal(0, Golden.LargestDeviation(golden.Model.Decoder.Forward(golden.Read("input_ids")), before));
    }

    [Theory, MemberData(nameof(Decoders))]
    public void The_trained_count_is_rank_times_the_widths(string family)
    {
        using var golden = new Golden(family);
        using Adapter adapter =
            Adapter.Create(
                golden.Model, new LoraConfig { Rank = 5, TargetModules = ModuleSelection.AllLinear }, seed: 1);
        Assert.Equal(golden.Model.Decoder.LinearLayers.Sum(p => 5L * (p.InputSize + p.OutputSize)),
            adapter.ParameterCount);
    }

    [Fact]
    public void The_same_seed_gives_the_same_adapter_and_another_seed_another()
    {
        using var golden = new Golden("llama");
        float[] First(long seed)
        {
            using Adapter adapter =
                Adapter.Create(golden.Model, new LoraConfig { InitLoraWeights = InitialWeights.Gaussian }, seed);
            return adapter.Weights[0].Value.cpu().data<float>().ToArray();
        }
        Assert.Equal(First(3), First(3));
        Assert.NotEqual(First(3), First(4));
    }

    [Fact]
    public void Live_tensors_do_not_grow_over_a_hundred_steps()
    {
        using var golden = new Golden("qwen3");
        using Adapter adapter =
            Adapter.Create(
                golden.Model, new LoraConfig { Dropout = 0.1, TargetModules = ModuleSelection.AllLinear }, seed: 1);
        adapter.Attach();
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-steps-");
        try
        {
            var counts = new LiveTensors();
            var options = new TrainerOptions { Steps = 100, BatchSize = 2, GradientAccumulation = 2,
                EvaluateEvery = 25, SaveEvery = 40 };
            TokenizedExample[] rows =
                [.. Enumerable.Range(0, 12)
                .Select(i => new TokenizedExample([1, 2 + i, 3, 4 + i, 5], [-100, -100, 3, 4 + i, 5]))];
            new Trainer(golden.Model.Decoder, new TrainedAdapter(adapter), options, folder.FullName, counts)
                .Run(rows, rows[..3]);
            Assert.Equal(100, counts.AfterStep.Count);
            Assert.True(counts.AfterStep[10..].Max() <= counts.AfterStep[9], string.Join(' ', counts.AfterStep));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Resuming_gives_the_run_that_was_never_interrupted()
    {
        byte[] whole = Train(interruptAfter: null), resumed = Train(interruptAfter: 13);
        Assert.Equal(whole, resumed);
    }

    private static byte[] Train(int? interruptAfter)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-resume-");
        try
        {
            TokenizedExample[] rows =
                [.. Enumerable.Range(0, 11)
                .Select(i => new TokenizedExample([1, 2 + i, 3, 40 + 3 * i], [1, 2 + i, 3, 40 + 3 * i]))];
            var options = new TrainerOptions { Steps = 20, BatchSize = 4, SaveEvery = 5, LearningRate = 1e-2 };
            void Run(bool resume, CancellationToken cancellation, ITrainingObserver observer)
            {
                using var golden = new Golden("llama");
                using Adapter adapter = Adapter.Create(golden.Model, new LoraConfig { Dropout = 0.2 }, seed: 1);
                adapter.Attach();
                new Trainer(golden.Model.Decoder, new TrainedAdapter(adapter), options, folder.FullName, observer)
                    .Run(rows, [], resume, cancellation);
            }
            using var stop = new CancellationTokenSource();
            Run(false, stop.Token, new LiveTensors { StopAfter = interruptAfter, Stop = stop });
            if (interruptAfter is not null) Run(true, CancellationToken.None, new LiveTensors());
            return File.ReadAllBytes(Path.Combine(folder.FullName, "adapter", Adapter.FileName));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private sealed class LiveTensors : ITrainingObserver
    {
        public List<long> AfterStep { get; } = [];

        public int? StopAfter { get; init; }

        public CancellationTokenSource? Stop { get; init; }

        public void Started(TrainingPlan plan)
        {
        }

        public void Stepped(TrainingStep step)
        {
            AfterStep.Add(Tensor.TotalCount);
            if (step.Step == StopAfter) Stop!.Cancel();
        }

        public void Evaluated(EvaluationResult evaluation)
        {
        }

        public void Finished(TrainingResult result)
        {
        }
    }
}
