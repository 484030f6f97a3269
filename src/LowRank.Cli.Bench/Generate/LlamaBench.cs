using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Common;
using LowRank.Models;

namespace LowRank.Cli.Bench.Generate;

/// <summary>llama.cpp's own benchmark, llama-bench, on GGUF files of the measured shape with random weights.</summary>
/// <remarks>Its prompts and its generation are measured apart, because they begin at different depths. Everything else
/// is left as llama.cpp has it by default, such as a cache of keys and values in 16 bits.</remarks>
internal sealed class LlamaBench : IDisposable
{
    private const string Family = "llama";

    private readonly string program;
    private readonly string folder;
    private readonly GenerateOptions options;
    private readonly int threads;
    private readonly Dictionary<string, Rates> formats = [];
    private string build = "";

    private LlamaBench(string program, string folder, GenerateOptions options, int threads) =>
        (this.program, this.folder, this.options, this.threads) = (program, folder, options, threads);

    /// <summary>Why a shape cannot be measured with a program of llama.cpp; null if it can.</summary>
    /// <param name="shape">A name of <see cref="ModelShapes"/>, or a model folder.</param>
    /// <param name="option">The option that names the program.</param>
    public static string? Lack(string shape, string option = "--llama-bench")
    {
        string path = Path.Combine(shape, "config.json");
        JsonNode? config = File.Exists(path) ? JsonNode.Parse(File.ReadAllText(path))
            : ModelShapes.Names.Contains(shape) ? ModelShapes.Config(shape) : null;
        return config?["model_type"]?.GetValue<string>() is { } type and not Family
            ? $"{option} compares llama models; {shape} is of type {type}: name llama-160m, for instance" : null;
    }

    /// <summary>Writes a file for each format that llama.cpp knows.</summary>
    /// <param name="program">The path of llama-bench.</param>
    /// <param name="model">The model's folder, for its shape.</param>
    /// <param name="formats">The names of the formats.</param>
    /// <param name="options">What is measured.</param>
    /// <param name="threads">Number of threads.</param>
    public static LlamaBench Prepare(
        string program, string model, IReadOnlyList<string> formats, GenerateOptions options, int threads)
    {
        ConfigReader config = ConfigReader.Open(Path.Combine(model, "config.json"));
        var bench = new LlamaBench(
            program, Directory.CreateTempSubdirectory("lowrank-gguf-").FullName, options, threads);
        try
        {
            foreach (string format in formats.Where(GgufType.ByFormat.ContainsKey))
            {
                GgufFile.Write(bench.PathOf(format), config.Root, GgufType.ByFormat[format]);
                bench.formats[format] = new Rates([], []);
            }
            return bench;
        }
        catch
        {
            bench.Dispose();
            throw;
        }
    }

    /// <summary>Measures a format once; nothing for one that llama.cpp does not know.</summary>
    /// <exception cref="InputException">The program did not run.</exception>
    public void Round(string format)
    {
        if (!formats.TryGetValue(format, out Rates? rates)) return;
        int steps = options.New - 1;
        rates.Prompts.Add(Run(format, $"-p {options.Prompt} -n 0"));
        rates.Generated.Add(Run(format, $"-p 0 -n {steps} -d {options.Prompt}"));
    }

    /// <summary>What the rounds found; null for a format that llama.cpp does not know.</summary>
    public LlamaBenchResult? Found(string format) => formats.TryGetValue(format, out Rates? rates)
        ? new LlamaBenchResult(GgufType.ByFormat[format].Name, build, rates.Generated, rates.Prompts) : null;

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(folder, recursive: true);

    private string PathOf(string format) => Path.Combine(folder, format + ".gguf");

    private double Run(string format, string test)
    {
        string[] arguments = ["-m", PathOf(format), "-t", threads.ToString(CultureInfo.InvariantCulture), "-r", "1",
            "-o", "json", .. test.Split(' ')];
        try
        {
            FinishedProcess process = FinishedProcess.Run(
                new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardError = true });
            if (process.ExitCode != 0)
                throw new InputException(
                    $"{program} {string.Join(' ', arguments)} ended with code {process.ExitCode}: {process.Errors}");
            JsonNode found = JsonNode.Parse(process.Output)!.AsArray()[^1]!;
            build = $"{found["build_number"]} ({found["build_commit"]})";
            return found["avg_ts"]!.GetValue<double>();
        }
        catch (Exception e) when (e is Win32Exception or JsonException or InvalidOperationException)
        {
            throw new InputException($"--llama-bench is {program}, which did not measure: {e.Message}", e);
        }
    }

    private sealed record Rates(List<double> Generated, List<double> Prompts);
}

/// <summary>What llama-bench reached, in tokens per second of each round.</summary>
/// <param name="Type">The type of the weights, as GGUF names it.</param>
/// <param name="Build">llama.cpp's build.</param>
/// <param name="Generated">Of one sequence, after the prompt.</param>
/// <param name="Prompts">Of a prompt.</param>
internal sealed record LlamaBenchResult(
    string Type, string Build, IReadOnlyList<double> Generated, IReadOnlyList<double> Prompts);
