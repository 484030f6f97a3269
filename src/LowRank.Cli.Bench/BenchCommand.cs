using System.CommandLine;
using LowRank.Cli.Common;

namespace LowRank.Cli.Bench;

/// <summary><c>lowrank bench</c>.</summary>
public sealed class BenchCommand : ICliCommand
{
    public string Example => "lowrank bench train gpt2-small --rank 8 --targets c_attn --batch 4 --length 256";

    // Sorted by name, as in the help.
    private static IReadOnlyList<IBenchmark> Benchmarks =>
    [
        new AttentionBenchmark(), new ComputeBenchmark(), new Generate.GenerateBenchmark(), new Gpu.GpuBenchmark(),
        new GrowthBenchmark(), new LengthsBenchmark(), new LoadBenchmark(), new OptimizerBenchmark(),
        new QuantizedBenchmark(), new Serve.ServeBenchmark(), new Train.TrainBenchmark(),
    ];

    public Command Build()
    {
        var command = new Command("bench",
            "Benchmark this machine: compare the program's speed with what the processor can do.");
        foreach (IBenchmark benchmark in Benchmarks) command.Add(benchmark.Build());
        return command;
    }
}
