using System.Text.Json;
using LowRank.IO;
using TorchSharp;

namespace LowRank.EndToEndTests;

/// <summary>From the goldens' initial adapter, twelve steps through the command line give PEFT's losses, gradient
/// norms, learning rates and final adapter.</summary>
public sealed class TrajectoryTests
{
    private const double Tolerance = 1e-4; // relative

    // Of a tensor's norm. AdamW divides a gradient by its own size: where that is next to nothing, its rounding alone
    // decides where a single number goes. One of qwen2's ends 0.9e-4 or 1.05e-4 of the largest number away from PEFT's
    // by the last bit of the roots that AdamW takes (exact, or from the library that torch has them from); the tensors
    // as a whole stay within 1e-5.
    private const double WeightTolerance = 2e-5;

    public static TheoryData<string> Families => ["llama", "llama3_rope", "mistral", "qwen2", "qwen3", "gpt2"];

    [Theory, MemberData(nameof(Families))]
    public void Training_follows_the_reference(string family)
    {
        string golden =
            Path.Combine(CommandLine.Repository, "tests", "LowRank.ParityTests", "Fixtures", "goldens", family);
        using var folder = new TemporaryFolder();
        using JsonDocument reference = JsonDocument.Parse(File.ReadAllText(Path.Combine(golden, "train.json")));
        JsonElement train = reference.RootElement;
        WriteData(folder["train.jsonl"], train);
        File.WriteAllText(folder["recipe.yaml"], Recipe(golden, train));

        CommandLine.Run("train", folder["recipe.yaml"]).Succeeded();

        JsonElement[] steps =
            [.. File.ReadLines(folder["run/metrics.jsonl"]).Select(line => JsonDocument.Parse(line).RootElement)
            .Where(line => line.TryGetProperty("loss", out _))];
        JsonElement[] expected = [.. train.GetProperty("log").EnumerateArray()];
        Assert.Equal(expected.Length, steps.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Close(expected[i], "lr", steps[i], "learning_rate");
            Close(expected[i], "loss", steps[i], "loss");
            Close(expected[i], "grad_norm", steps[i], "grad_norm");
        }
        CompareAdapters(Path.Combine(golden, "trained"), folder["run/adapter"]);
    }

    private static void CompareAdapters(string expectedFolder, string actualFolder)
    {
        using var expected = SafeTensorsFile.Open(Path.Combine(expectedFolder, "adapter_model.safetensors"));
        using var actual = SafeTensorsFile.Open(Path.Combine(actualFolder, "adapter_model.safetensors"));
        Assert.Equal(expected.Entries.Keys.Order(), actual.Entries.Keys.Order());
        foreach (string name in expected.Entries.Keys)
        {
            using torch.Tensor wanted = expected.Map(name), made = actual.Map(name);
            using torch.Tensor difference = (wanted - made).norm(), size = wanted.norm();
            Assert.True(difference.item<float>() <= WeightTolerance * size.item<float>(),
                $"{name}: off by {difference.item<float>()} of {size.item<float>()}");
        }
    }

    private static void Close(JsonElement expected, string expectedName, JsonElement actual, string actualName)
    {
        double wanted = expected.GetProperty(expectedName).GetDouble(),
            found = actual.GetProperty(actualName).GetDouble();
        Assert.True(Math.Abs(wanted - found) <= Tolerance * Math.Abs(wanted),
            $"{actualName}: {found}, expected {wanted}");
    }

    private static void WriteData(string path, JsonElement train)
    {
        using var writer = new StreamWriter(path);
        int steps = train.GetProperty("steps").GetInt32();
        for (int step = 0; step < steps; step++)
            for (int row = 0; row < train.GetProperty("input_ids")[step].GetArrayLength(); row++)
                writer.WriteLine(JsonSerializer.Serialize(new Dictionary<string, JsonElement>
                {
                    ["input_ids"] = train.GetProperty("input_ids")[step][row],
                    ["labels"] = train.GetProperty("labels")[step][row],
                    ["attention_mask"] = Mask(train.GetProperty("attention_mask"), step, row),
                }));
    }

    // One mask for all steps, or one a step.
    private static JsonElement Mask(JsonElement masks, int step, int row)
    {
        JsonElement first = masks[step % masks.GetArrayLength()];
        return first[0].ValueKind == JsonValueKind.Array ? first[row] : masks[row];
    }

    private static string Recipe(string golden, JsonElement train) => $"""
        model: {golden}
        data:
          train: train.jsonl
        adapter:
          method: lora
        training:
          init_adapter: {golden}/start
          steps: {train.GetProperty("steps").GetInt32()}
          batch_size: 3
          shuffle: false
          learning_rate: {train.GetProperty("lr").GetDouble()}
          weight_decay: {train.GetProperty("weight_decay").GetDouble()}
          max_grad_norm: {train.GetProperty("clip").GetDouble()}
          schedule: {train.GetProperty("schedule").GetString()}
          warmup_steps: {train.GetProperty("warmup").GetInt32()}
        output: run
        """;
}
