using System.Text.Json;
using LowRank.Cli.Views.Curves;

namespace LowRank.Cli.Runs;

/// <summary>What a run's <c>metrics.jsonl</c> tells, in bounded memory. Lines that are torn or foreign are passed over: the run may be writing.</summary>
internal sealed class RunCourse
{
    /// <summary>The last step; null where the file holds none.</summary>
    public long? LastStep { get; private set; }

    /// <summary>The training losses.</summary>
    public LossHistory Training { get; } = new();

    /// <summary>The evaluations after training began: step and the metric's value, in their order.</summary>
    public List<(double Step, double Value)> Measured { get; } = [];

    /// <summary>The best value of the metric; null without a finite one.</summary>
    public (double Step, double Value)? Best(bool highest) =>
        Measured.Count == 0 ? null : highest ? Measured.MaxBy(point => point.Value) : Measured.MinBy(point => point.Value);

    /// <summary>Reads the file, also while a run appends to it.</summary>
    /// <param name="path">A file that may be missing: then nothing is known.</param>
    /// <param name="metric">The quantity of <see cref="Measured"/>, as the file names it.</param>
    public static RunCourse Read(string path, string metric)
    {
        var course = new RunCourse();
        if (!File.Exists(path)) return course;
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        while (reader.ReadLine() is { } line) course.Take(line, metric);
        return course;
    }

    private void Take(string line, string metric)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            if (document.RootElement.ValueKind != JsonValueKind.Object || Number(document.RootElement, "step") is not { } step || step < 0) return;
            LastStep = Math.Max(LastStep ?? 0, (long)step);
            if (Number(document.RootElement, "loss") is { } loss) Training.Add((long)step, loss);
            if (step > 0 && Number(document.RootElement, metric) is { } value) Measured.Add((step, value));
        }
        catch (JsonException)
        {
            // Torn by a kill, or being written now.
        }
    }

    private static double? Number(JsonElement line, string key) =>
        line.TryGetProperty(key, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsFinite(number) ? number : null;
}
