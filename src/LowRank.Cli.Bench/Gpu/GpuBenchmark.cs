using System.CommandLine;
using LowRank.Cli.Common;
using LowRank.Kernels;

namespace LowRank.Cli.Bench.Gpu;

/// <summary><c>lowrank bench gpu</c>.</summary>
internal sealed class GpuBenchmark : IBenchmark
{
    private const double Minutes = 9; // leaves a minute of ten for what comes before

    public Command Build()
    {
        var output = new Option<string>("--output")
        {
            Description = "The folder that receives a file for each measurement, as soon as it is done.",
            DefaultValueFactory = _ => "gpu",
        };
        var device = new Option<string>("--device")
        {
            Description = "cuda or cuda:N; for a trial also cpu.",
            DefaultValueFactory = _ => "cuda",
        };
        var minutes = new Option<double>("--minutes")
        {
            Description = "Start no measurement after this time, and end the one that runs.",
            DefaultValueFactory = _ => Minutes,
        };
        var python = new Option<string?>("--python")
        {
            Description = "A Python with torch, transformers and peft, which runs the same steps.",
        };
        var script = new Option<string>("--peft-script")
        {
            Description = "The script with which it does.",
            DefaultValueFactory = _ => "tests/LowRank.ParityTests/Reference/time_with_peft.py",
        };
        var trial = new Option<bool>("--trial")
        {
            Description = "Try whether all works, with a small model; the numbers say nothing.",
        };
        return new Command("gpu",
            "Measure training on an NVIDIA GPU in ten minutes: llama shapes of 1 and 8 billion random weights, rank " +
            "16 on all linear layers, 2,048 tokens per step, in each number format, beside PEFT. A measurement that " +
            "fails is noted, and the next one runs.")
        {
            output, device, minutes, python, script, trial,
        }
        .Does(parsed =>
        {
            string name = parsed.GetValue(device)!, folder = parsed.GetValue(output)!;
            bool isTrial = parsed.GetValue(trial);
            if (Devices.Parse(name).type != TorchSharp.DeviceType.CUDA && !isTrial)
                throw new InputException($"--device is {name}; expected cuda or cuda:N, or --trial with it.");
            (string, string)? peft = parsed.GetValue(python) is { } program
                ? (program, parsed.GetValue(script)!) : null;
            int failed = new GpuRun(folder, TimeSpan.FromMinutes(parsed.GetValue(minutes)), peft, Console.WriteLine)
                .Run(GpuMeasurement.All(name, isTrial));
            Console.WriteLine($"The files are in {folder}.");
            return failed == 0 ? ExitCodes.Success : ExitCodes.Failed;
        }, OptionUse.Always(output, device, minutes, python, script, trial));
    }
}
