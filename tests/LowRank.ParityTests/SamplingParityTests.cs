using System.Text.Json.Nodes;
using LowRank.Generation;

namespace LowRank.ParityTests;

/// <summary>What tokens are drawn by, against transformers' processors and OpenAI's formula
/// (Reference/make_sampling_cases.py).</summary>
public sealed class SamplingParityTests
{
    private const double Tolerance = 1e-5; // of logits up to 100 in float32, and of probabilities

    public static TheoryData<int> Cases => [.. Enumerable.Range(0, All.Count)];

    private static JsonArray All { get; } = JsonNode.Parse(
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "sampling.json")))!.AsArray();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Bias_penalties_and_thresholds(int index)
    {
        JsonNode one = All[index]!;
        float[] logits = Numbers(one["logits"]!), changed = Chosen(one, greedy: true),
            weights = Chosen(one, greedy: false);
        double sum = weights.Sum(weight => (double)weight);
        for (int token = 0; token < logits.Length; token++)
        {
            Assert.Equal((double)one["changed"]![token]!, changed[token], Tolerance);
            double expected = (double)one["probabilities"]![token]!;
            Assert.Equal(expected, weights[token] / sum, Tolerance);
            Assert.Equal(expected == 0, weights[token] == 0); // the same tokens stay
        }
    }

    private static float[] Numbers(JsonNode list) => [.. list.AsArray().Select(number => (float)number!)];

    // What the sampler left in the workspace: changed logits, or the weights it drew by.
    private static float[] Chosen(JsonNode one, bool greedy)
    {
        JsonObject settings = one["settings"]!.AsObject();
        double Setting(string name, double otherwise) => (double?)settings[name] ?? otherwise;
        var options = new GenerationOptions
        {
            RepetitionPenalty = Setting("repetition_penalty", 1),
            FrequencyPenalty = Setting("frequency_penalty", 0),
            PresencePenalty = Setting("presence_penalty", 0),
            LogitBias = settings["logit_bias"]?.AsObject().ToDictionary(
                bias => int.Parse(bias.Key, System.Globalization.CultureInfo.InvariantCulture),
                bias => (double)bias.Value!) ?? [],
        };
        if (!greedy)
            options = options with
            {
                Temperature = Setting("temperature", 1), MinP = Setting("min_p", 0), TopP = Setting("top_p", 1),
                TopK = (int)Setting("top_k", 0),
            };
        float[] logits = Numbers(one["logits"]!), workspace = new float[logits.Length];
        var sampler = new TokenSampler(options, one["prompt"]!.AsArray().Select(token => (int)token!));
        var only = new uint[(logits.Length + 31) / 32];
        foreach (int token in one["written"]!.AsArray().Select(token => (int)token!))
        {
            Array.Clear(only);
            only[token >> 5] = 1u << token;
            Assert.Equal(token, sampler.Choose(logits, only, workspace));
        }
        Array.Fill(only, uint.MaxValue);
        Assert.NotNull(sampler.Choose(logits, only, workspace));
        return workspace;
    }
}
