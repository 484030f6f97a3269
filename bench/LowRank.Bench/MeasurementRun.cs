using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Bench;
using LowRank.Cli.Common;
using LowRank.Pages;

namespace LowRank.Bench;

/// <summary>Runs measurements, each in its own process.</summary>
/// <param name="repository">The repository's folder, where commands run.</param>
/// <param name="options">The options of the command line.</param>
internal sealed class MeasurementRun(string repository, BenchOptions options)
{
    private static readonly JsonSerializerOptions Indented = new(JsonOutput.Compact) { WriteIndented = true };

    /// <summary>Measures, and returns the object to save: what the command printed, with the command, the machine, the
    /// commit, and the share of the cores that was in use beforehand.</summary>
    /// <exception cref="InvalidOperationException">The command failed, or did not compute with the requested
    /// vectors.</exception>
    public JsonObject Measure(Measurement measurement)
    {
        double? used = MachineState.Used();
        if (used is not null) Console.WriteLine($"  {MachineState.Describe(used)}");
        JsonObject found = Run(Start(measurement));
        if (measurement.Limit is { } limit && measurement.IsOwn && found["vectors"]?.GetValue<string>() is var vectors
            && vectors != limit.Vectors)
            throw new InvalidOperationException(
                $"It computed with {vectors}, though it was held to {limit.Vectors}: this runtime knows other " +
                "variables.");
        // The path of data on this machine means nothing on another.
        found["command"] = options.IsTrial ? string.Join(' ', measurement.Trial) : measurement.Command;
        if (!measurement.IsOwn)
        {
            found["machine"] = Machine.Describe();
            found["commit"] = Machine.Commit();
        }
        if (used is { } share) found["used_before"] = Math.Round(share, 3);
        return found;
    }

    /// <summary>Writes a file.</summary>
    public static void Write(string folder, string name, JsonObject found)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, name + ".json"), found.ToJsonString(Indented) + "\n");
    }

    /// <summary>How the process of a measurement is started.</summary>
    public ProcessStartInfo Start(Measurement measurement)
    {
        string[] words =
            [.. (options.IsTrial ? measurement.Trial : measurement.Words)
            .Select(word => options.Inputs.GetValueOrDefault(word, word))];
        string program = measurement.IsOwn
            ? Path.Combine(AppContext.BaseDirectory, "LowRank.Cli" + (OperatingSystem.IsWindows() ? ".exe" : ""))
            : words[0];
        var start = new ProcessStartInfo(
            program, words[1..]) { UseShellExecute = false, RedirectStandardOutput = true,
            WorkingDirectory = repository };
        // The runtime of this program.
        start.Environment["DOTNET_ROOT"] =
            Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        foreach ((string name, string value) in measurement.Limit?.Environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        return start;
    }

    private static JsonObject Run(ProcessStartInfo start)
    {
        using Process process = Process.Start(start)
            ?? throw new InvalidOperationException($"{start.FileName} did not start.");
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException($"It ended with code {process.ExitCode}.");
        return JsonNode.Parse(output) as JsonObject
            ?? throw new InvalidOperationException("It printed no JSON object.");
    }
}
