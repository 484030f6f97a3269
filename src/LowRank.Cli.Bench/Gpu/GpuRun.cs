using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Common;

namespace LowRank.Cli.Bench.Gpu;

/// <summary>Runs the measurements of a GPU one after the other within a time. Each writes its file as soon as it is
/// done; one that fails, because memory is short for instance, is noted in its file, and the next one runs.</summary>
/// <param name="output">The folder of the files.</param>
/// <param name="time">The time for all.</param>
/// <param name="peft">The Python program and the script that times PEFT; null for none.</param>
/// <param name="report">Told what happens, a line each.</param>
internal sealed class GpuRun(string output, TimeSpan time, (string Python, string Script)? peft, Action<string> report)
{
    /// <summary>The key of a file that says why there is no measurement in it.</summary>
    public const string Failed = "failed";

    private const int MostWords = 300; // characters of what a failed process said last
    private static readonly TimeSpan Least = TimeSpan.FromSeconds(20); // below, none is started
    private readonly long started = Stopwatch.GetTimestamp();

    private TimeSpan Left => time - Stopwatch.GetElapsedTime(started);

    /// <summary>Runs the measurements.</summary>
    /// <returns>How many failed; those that PEFT's absence or the time leaves out do not count.</returns>
    public int Run(IReadOnlyList<GpuMeasurement> measurements)
    {
        Directory.CreateDirectory(output);
        int failed = 0;
        foreach (GpuMeasurement measurement in measurements)
        {
            if (measurement.IsPeft && peft is null)
            {
                report($"{measurement.Name}: left out, no Python with torch, transformers and peft was named");
                continue;
            }
            if (Left < Least)
            {
                report($"{measurement.Name}: left out, the time is used up");
                continue;
            }
            long began = Stopwatch.GetTimestamp();
            JsonObject found = Measure(measurement);
            File.WriteAllText(
                Path.Combine(output, measurement.Name + ".json"), found.ToJsonString(JsonOutput.Indented) + "\n");
            if (found.ContainsKey(Failed)) failed++;
            report(string.Create(CultureInfo.InvariantCulture,
                $"{measurement.Name}: {Says(found)} ({Stopwatch.GetElapsedTime(began).TotalSeconds:0} s)"));
        }
        return failed;
    }

    private static string Says(JsonObject found) => found[Failed] is { } reason ? $"failed: {reason.GetValue<string>()}"
        : string.Create(CultureInfo.InvariantCulture, $"{found["tokens_per_second"]!.GetValue<double>():0} tokens/s");

    private JsonObject Measure(GpuMeasurement measurement)
    {
        ProcessStartInfo start = measurement.IsPeft
            ? new ProcessStartInfo(peft!.Value.Python, [peft.Value.Script, "--shape", .. measurement.Words])
            : ThisProgram.Start(measurement.Words);
        (start.RedirectStandardOutput, start.RedirectStandardError, start.UseShellExecute) = (true, true, false);
        string command = measurement.IsPeft
            ? $"python3 time_with_peft.py --shape {string.Join(' ', measurement.Words)}"
            : $"lowrank {string.Join(' ', measurement.Words)}";
        JsonObject found = Run(start);
        found["command"] = command;
        found["machine"] ??= Machine.Describe();
        found["commit"] ??= Machine.Commit();
        return found;
    }

    private JsonObject Run(ProcessStartInfo start)
    {
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> printed = process.StandardOutput.ReadToEndAsync(),
                said = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(Left))
            {
                process.Kill(entireProcessTree: true);
                return Problem("the time was used up before it ended");
            }
            string words = said.GetAwaiter().GetResult().Trim(), text = printed.GetAwaiter().GetResult();
            if (process.ExitCode != 0)
                return Problem($"ended with code {process.ExitCode}: {Last(words + "\n" + text)}");
            return JsonNode.Parse(text) as JsonObject ?? Problem("printed no JSON object");
        }
        catch (Exception e) when (e is Win32Exception or JsonException)
        {
            return Problem(e.Message);
        }
    }

    private static JsonObject Problem(string reason) => new() { [Failed] = reason };

    // A native trace is long, and its first line says what it is about.
    private static string Last(string words)
    {
        string[] lines = words.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        string line = lines.FirstOrDefault(one => one.Contains("out of memory", StringComparison.OrdinalIgnoreCase))
            ?? lines.LastOrDefault() ?? "it said nothing";
        return line.Length <= MostWords ? line : line[..MostWords] + "…";
    }
}
