using System.CommandLine;
using System.Diagnostics;
using LowRank.Cli.Common;
using LowRank.Kernels;
using LowRank.Training;
using Spectre.Console;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench;

/// <summary><c>lowrank bench optimizer</c>: an AdamW step and the gradient norm, compared with copying the bytes that
/// they touch.</summary>
internal sealed class OptimizerBenchmark : IBenchmark
{
    // A step reads weights, gradients, means and squares and writes all except the gradients. That moves as many bytes
    // as a copy of three and a half of them.
    private const double Copied = 3.5;

    public Command Build()
    {
        var weights = new Option<int>("--weights")
        {
            Description = "Total number of trained weights.",
            DefaultValueFactory = _ => 6_553_600,
        };
        var tensors = new Option<int>("--tensors")
        {
            Description = "Number of tensors that hold the weights.",
            DefaultValueFactory = _ => 200,
        };
        var repeats = new Option<int>("--repeats")
        {
            Description = "Number of rounds. Each measures everything once; the fastest counts.",
            DefaultValueFactory = _ => 30,
        };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        return new Command("optimizer",
            "Measure an optimizer step and the gradient norm, compared with copying the bytes that they touch.")
            { weights, tensors, repeats, json }
            .Does(parsed =>
                Run(parsed.GetValue(weights), parsed.GetValue(tensors), parsed.GetValue(repeats),
                parsed.GetValue(json)), OptionUse.Always(weights, tensors, repeats, json));
    }

    private static int Run(int weights, int tensors, int repeats, bool json)
    {
        if (weights < tensors || tensors < 1 || repeats < 1)
            throw new InputException(
                $"Found --weights {weights}, --tensors {tensors}, --repeats {repeats}; expected at least one of " +
                "each, and at least as many weights as tensors.");
        set_num_threads(ProcessorCores.Usable());
        OptimizerTimes times = Measure(weights, tensors, repeats);
        if (json) MeasuredJson.Write(times);
        else Show(times);
        return ExitCodes.Success;
    }

    private static OptimizerTimes Measure(int count, int tensors, int repeats)
    {
        using var scope = NewDisposeScope();
        Tensor[] weights =
            [.. Enumerable.Range(0, tensors).Select(_ => randn(count / tensors).mul_(0.02).requires_grad_())];
        foreach (Tensor weight in weights) weight.grad = randn(weight.shape).mul_(1e-3);
        using var fused =
            new AdamW([.. weights.Select((weight, i) => KeyValuePair.Create($"{i}", weight))], new TrainerOptions());
        TorchSharp.Modules.Parameter[] copies =
            [.. weights.Select(weight => new TorchSharp.Modules.Parameter(weight.detach().clone()))];
        foreach (TorchSharp.Modules.Parameter weight in copies) weight.grad = randn(weight.shape).mul_(1e-3);
        using var reference = optim.AdamW(copies, lr: 1e-4);
        Tensor from = ones((long)(Copied * count)), to = ones((long)(Copied * count)), gradients = ones(count),
            place = ones(count);
        double copy = double.MaxValue, step = double.MaxValue, plain = double.MaxValue, copyGradients = double.MaxValue,
            norm = double.MaxValue;
        long allocated = 0;
        for (int round = 0; round < repeats; round++)
        {
            Least(ref copy, () => to.copy_(from)); // on torch's threads
            long before = GC.GetAllocatedBytesForCurrentThread();
            Least(ref step, () => fused.Step(1e-4));
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Least(ref copyGradients, () => place.copy_(gradients));
            Least(ref norm, () => GradientClipping.Apply(weights, 0));
            Least(ref plain, () => reference.step());
        }
        return new OptimizerTimes(weights.Sum(weight => weight.numel()), tensors, get_num_threads(), step, copy,
            step / copy, plain, norm, copyGradients, norm / copyGradients, allocated);
    }

    private static void Least(ref double milliseconds, Action work)
    {
        long started = Stopwatch.GetTimestamp();
        work();
        milliseconds = Math.Min(milliseconds, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
    }

    private static void Show(OptimizerTimes times)
    {
        var table = new Table().AddColumn("").AddColumn("ms").AddColumn("vs. copy");
        table.AddRow($"AdamW, {times.Weights:N0} weights in {times.Tensors} tensors", $"{times.StepMilliseconds:0.00}",
            $"{times.StepOverCopy:0.00}");
        table.AddRow("copy of the same bytes", $"{times.CopyMilliseconds:0.00}", "1");
        table.AddRow("TorchSharp's AdamW", $"{times.TorchSharpMilliseconds:0.00}", $"{times.TorchSharpOverCopy:0.00}");
        table.AddRow("gradient norm", $"{times.NormMilliseconds:0.00}", $"{times.NormOverCopy:0.00}");
        table.AddRow("copy of the gradients", $"{times.CopyGradientsMilliseconds:0.00}", "1");
        AnsiConsole.Write(table);
        Console.WriteLine($"{times.Threads} threads; a step allocates {times.AllocatedBytes} bytes of managed memory");
    }
}

/// <summary>The measurements of <c>lowrank bench optimizer</c>; times are the fastest of all rounds.</summary>
/// <param name="Weights">Trained weights.</param>
/// <param name="Tensors">Number of tensors.</param>
/// <param name="Threads">Threads of torch and of the step.</param>
/// <param name="StepMilliseconds">A step of AdamW.</param>
/// <param name="CopyMilliseconds">A copy that reads and writes as many bytes as the step, which reads weights,
/// gradients, means and squares and writes all except the gradients.</param>
/// <param name="StepOverCopy">The step divided by the copy.</param>
/// <param name="TorchSharpMilliseconds">A step of TorchSharp's own AdamW.</param>
/// <param name="NormMilliseconds">The norm of the gradients.</param>
/// <param name="CopyGradientsMilliseconds">Copying the gradients.</param>
/// <param name="NormOverCopy">The norm divided by the copy of the gradients.</param>
/// <param name="AllocatedBytes">Managed memory that a step allocates.</param>
internal sealed record OptimizerTimes(
    long Weights, int Tensors, int Threads, double StepMilliseconds, double CopyMilliseconds, double StepOverCopy,
    double TorchSharpMilliseconds, double NormMilliseconds, double CopyGradientsMilliseconds, double NormOverCopy,
    long AllocatedBytes)
{
    /// <summary>Bytes that a step reads and writes: four numbers per weight are read, three written.</summary>
    public long BytesTouched => 7 * sizeof(float) * Weights;

    /// <summary>TorchSharp's step divided by the copy.</summary>
    public double TorchSharpOverCopy => TorchSharpMilliseconds / CopyMilliseconds;
}
