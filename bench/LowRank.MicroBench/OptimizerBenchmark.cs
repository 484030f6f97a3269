using BenchmarkDotNet.Attributes;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.MicroBench;

/// <summary>A step of AdamW over 6.5 million weights in 200 tensors.</summary>
public class OptimizerBenchmark : IDisposable
{
    private const int Tensors = 200, Numbers = 32_768;
    private const double Rate = 1e-4, Decay = 0.01;
    private Tensor[] weights = [];
    private TorchSharp.Modules.Parameter[] copies = [];
    private AdamW own = null!;
    private TorchSharp.Modules.AdamW torchs = null!;

    [GlobalSetup]
    public void Setup()
    {
        MicroBenchmark.PrepareThreads();
        using var noGradient = no_grad();
        weights = [.. Enumerable.Range(0, Tensors)
            .Select(i => MicroBenchmark.Draw((ulong)i + 1, Numbers).mul_(0.02).requires_grad_())];
        copies = [.. weights.Select(weight => new TorchSharp.Modules.Parameter(weight.detach().clone()))];
        foreach ((Tensor weight, int i) in weights.Select((weight, i) => (weight, i)))
        {
            weight.grad = MicroBenchmark.Draw((ulong)i + 1001, Numbers).mul_(1e-3);
            copies[i].grad = weight.grad!.clone();
        }
        own = new AdamW(
            [.. weights.Select((weight, i) => KeyValuePair.Create($"{i}", weight))],
            new TrainerOptions { WeightDecay = Decay });
        torchs = optim.AdamW(copies, lr: Rate, weight_decay: Decay);
        Own();
        Torch();
        MicroBenchmark.AssertAlike(weights[7], copies[7], 1e-6);
    }

    [Benchmark]
    public void Own() => own.Step(Rate);

    [Benchmark(Baseline = true)]
    public void Torch() => torchs.step();

    [GlobalCleanup]
    public void Dispose()
    {
        own?.Dispose();
        torchs?.Dispose();
        foreach (Tensor weight in weights.Concat(copies)) weight.Dispose();
    }
}
