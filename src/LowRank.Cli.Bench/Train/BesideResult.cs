using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Common;
using LowRank.Kernels;

namespace LowRank.Cli.Bench.Train;

/// <summary>What another program reached on the measured steps.</summary>
/// <param name="printed">The JSON object that it printed.</param>
internal sealed class BesideResult(JsonObject printed)
{
    private const string Rate = "tokens_per_second";

    /// <summary>The program's name.</summary>
    public string Name => printed["name"]?.GetValue<string>() ?? "the other program";

    /// <summary>Tokens per second in its median step.</summary>
    public double TokensPerSecond => printed[Rate]!.GetValue<double>();

    /// <summary>Its process's largest resident size; NaN if it does not say.</summary>
    public double PeakBytes => printed["peak_bytes"]?.GetValue<double>() ?? double.NaN;

    /// <summary>All that it printed.</summary>
    public JsonObject Printed => printed;

    /// <summary>Runs the program to its end.</summary>
    /// <exception cref="InputException">It did not run, or printed no such object.</exception>
    public static BesideResult Measure(TrainBenchOptions options)
    {
        string command = string.Join(' ', options.Beside);
        string Number(int number) => number.ToString(CultureInfo.InvariantCulture);
        string[] arguments = [.. options.Beside.Skip(1), "--shape", options.Shape, "--batch", Number(options.Batch),
            "--length", Number(options.Length), "--rank", Number(options.Rank), "--steps", Number(options.Steps),
            "--threads", Number(options.Threads ?? ProcessorCores.Usable()),
            .. options.Targets.Count == 0 ? Array.Empty<string>() : ["--targets", string.Join(',', options.Targets)]];
        try
        {
            FinishedProcess process = FinishedProcess.Run(new ProcessStartInfo(options.Beside[0], arguments));
            if (process.ExitCode == 0 && JsonNode.Parse(process.Output) is JsonObject printed
                && printed.ContainsKey(Rate))
                return new BesideResult(printed);
            throw new InputException(
                $"--beside {command} ended with code {process.ExitCode} and printed \"{process.Output.Trim()}\"; " +
                $"expected 0 and a JSON object with {Rate}.");
        }
        catch (Exception e) when (e is Win32Exception or JsonException or InvalidOperationException)
        {
            throw new InputException($"--beside {command} did not measure: {e.Message}", e);
        }
    }
}
