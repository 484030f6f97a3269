using System.Diagnostics;
using System.Reflection;
using LowRank.Cli.Bench;
using LowRank.Cli.Bench.Train;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.SpeedTests;

/// <summary>The machine without other tests, with torch set up as <c>lowrank</c> does, and models to
/// measure.</summary>
public sealed class MeasuredMachine : IDisposable
{
    // So that machines with more cores can be compared: how many threads a step can use depends on its rows.
    private const int MostThreads = 2;

    private readonly MachineLock turn = MachineLock.Alone();
    private readonly Dictionary<string, BenchFolder> models = [];

    /// <summary>Waits for the tests that run.</summary>
    public MeasuredMachine()
    {
        NativeAllocator.KeepFreedMemory();
        Threads = Math.Min(MostThreads, ProcessorCores.Usable());
        set_num_threads(Threads);
    }

    /// <summary>Whether what is measured was built for debugging.</summary>
    public static bool IsDebug { get; } = new[] { typeof(StepSession), typeof(ProcessorCores) }.Any(
        type => type.Assembly.GetCustomAttribute<DebuggableAttribute>()?.IsJITOptimizerDisabled ?? false);

    /// <summary>Why nothing can be measured; null where the machine is this process's.</summary>
    public string? Disturbance => turn.Disturbance;

    /// <summary>Skips a test where nothing can be measured.</summary>
    public void SkipWhenDisturbed()
    {
        Assert.SkipWhen(IsDebug, "Built for debugging, where kernels are not optimised: build with -c Release.");
        Assert.SkipWhen(Disturbance is not null, Disturbance ?? "");
    }

    /// <summary>Threads of torch.</summary>
    public int Threads { get; }

    /// <summary>The folder of a shape with random weights, written at its first use.</summary>
    public string Model(string shape)
    {
        if (!models.TryGetValue(shape, out BenchFolder? folder)) models[shape] = folder = BenchFolder.Open(shape);
        return folder.Path;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (BenchFolder folder in models.Values) folder.Dispose();
        turn.Dispose();
    }
}
