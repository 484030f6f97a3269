using System.Globalization;
using System.Text.Json;

namespace LowRank.BrowserTests;

/// <summary>Folders as runs leave them, with texts that would break out of a careless page.</summary>
internal static class Runs
{
    /// <summary>A text that a page must show and not run.</summary>
    public const string Hostile =
        "<script>alert('ran')</script><img src=x onerror=alert('ran')></dd></main> & \"quotes\" \u202Ereversed";

    public static void Write(string folder)
    {
        Whole(Path.Combine(folder, "whole"));
        Plain(Path.Combine(folder, "plain"));
        Torn(Path.Combine(folder, "torn"));
    }

    private static void Whole(string folder)
    {
        Directory.CreateDirectory(Path.Combine(folder, "adapter"));
        File.WriteAllBytes(Path.Combine(folder, "adapter", "adapter_model.safetensors"), new byte[1_120_000]);
        File.WriteAllText(
            Path.Combine(folder, "recipe.yaml"),
            $"model: {JsonSerializer.Serialize(Hostile)}\nadapter:\n  method: lora\n  rank: 8\ntraining:\n  steps: " +
            "120\n  learning_rate: 0.002\n");
        File.WriteAllText(Path.Combine(folder, "run.json"), JsonSerializer.Serialize(new
        {
            state = "finished", planned_steps = 120, steps = 120, trained_parameters = 276_480,
                total_parameters = 3_092_544, tokens = 90_000, seconds = 81.5, peak_memory_bytes = 812_000_000,
            training = new { rows = 2000, tokens = 61_000, labels = 40_000, longest = 122 },
                validation = new { rows = 100, tokens = 3000, labels = 2000, longest = 99 },
            notes = new[] { Hostile }, advice = new[] { "the rank is over the layer's smaller side" },
        }));
        File.WriteAllText(Path.Combine(folder, "comparison.json"), JsonSerializer.Serialize(new
        {
            before = Side(5.03, "noise noise"), after = Side(0.51, Hostile),
                prompts = new[] { "name: The Quiet Tower | area: " + Hostile },
                references = new[] { "The Quiet Tower is a hotel." },
        }));
        File.WriteAllLines(
            Path.Combine(folder, "metrics.jsonl"),
            Enumerable.Range(1, 120).SelectMany(step => Lines(step, 0.5, evaluates: true)));
    }

    private static void Plain(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(
            Path.Combine(folder, "recipe.yaml"),
            "model: base\nadapter:\n  method: lora\n  rank: 4\ntraining:\n  steps: 80\n  learning_rate: 0.002\n");
        File.WriteAllLines(
            Path.Combine(folder, "metrics.jsonl"),
            Enumerable.Range(1, 80).SelectMany(step => Lines(step, 0.9, evaluates: false)));
    }

    private static void Torn(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(
            Path.Combine(folder, "metrics.jsonl"),
            string.Join('\n', Enumerable.Range(1, 40).SelectMany(step => Lines(step, 0.7, evaluates: true)))
            + "\nnot a line\n{\"step\":41,\"lo");
    }

    private static object Side(double loss, string text) =>
        new { loss, facts_stated = 0, facts = 0, texts = new[] { text } };

    private static IEnumerable<string> Lines(int step, double level, bool evaluates)
    {
        double wave = Math.Sin(step * 1.7) * 0.04 + 1;
        string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);
        double loss = (level + 4.5 * Math.Exp(-step / 15.0)) * wave;
        yield return $"{{\"step\":{step},\"loss\":{Number(loss)},\"grad_norm\":{Number(wave * 2 / Math.Sqrt(step))}" +
            $",\"learning_rate\":{Number(0.002 * (120 - step) / 120)},"
            + $"\"tokens\":700,\"tokens_per_second\":{Number(1100 * wave)},\"memory_bytes\":{700_000_000
                + 1_000_000 * Math.Min(step, 30)}}}";
        if (!evaluates || step % 20 != 0) yield break;
        yield return JsonSerializer.Serialize(new
        {
            step, eval_loss = level + 4.4 * Math.Exp(-step / 14.0), eval_tokens = 2000,
                eval_accuracy = 1 - level / step,
            generations =
                new[] { new { prompt = "name: The Quiet Tower | area: " + Hostile,
                text = $"After {step}: {Hostile}" } },
        });
    }
}
