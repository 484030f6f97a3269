using LowRank.Adapters.Operations;

namespace LowRank.Tests.Adapters;

/// <summary>mlx-lm's settings as strangers write them.</summary>
public sealed class MlxSettingsTests
{
    [Theory]
    [InlineData("""{"lora_parameters": {"scale": 1e309, "rank": 8}}""",
        "lora_parameters.scale is 1e309, expected a finite number")]
    [InlineData("""{"lora_parameters": {"scale": "20"}}""",
        "lora_parameters.scale is \"20\", expected a finite number")]
    [InlineData("""{"lora_parameters": {}}""", "lora_parameters.scale is missing, expected a finite number")]
    [InlineData("""{"lora_parameters": {"scale": 2, "dropout": 1e308}}""",
        "lora_parameters.dropout is 1e308, expected a number of at least 0 and below 1")]
    [InlineData("""{"lora_parameters": [2]}""",
        "lora_parameters is [2], expected an object with rank, scale and dropout")]
    [InlineData("""{}""", "lora_parameters is missing, expected an object")]
    [InlineData("""{"fine_tune_type": "full", "lora_parameters": {"scale": 1}}""",
        "fine_tune_type is full, expected lora or dora")]
    [InlineData("""{"fine_tune_type": 5, "lora_parameters": {"scale": 1}}""",
        "fine_tune_type is 5, expected lora or dora")]
    [InlineData("""[1]""", "does not hold a JSON object")]
    [InlineData("""{"a": """, "is not valid JSON: it is no JSON from line 1, column ")]
    public void What_cannot_be_meant_is_named(string json, string expected)
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["mlx"]);
        File.WriteAllText(Path.Combine(folder["mlx"], "adapter_config.json"), json);
        string said = Assert.Throws<InputException>(
            () => MlxFolder.ToPeft(folder["mlx"], folder["model"], folder["out"])).Message;
        Assert.Contains(expected, said);
        Assert.Contains("adapter_config.json", said);
    }

    [Fact]
    public void All_that_is_wrong_is_said_at_once()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["mlx"]);
        File.WriteAllText(
            Path.Combine(folder["mlx"], "adapter_config.json"),
            """{"fine_tune_type": "full", "lora_parameters": {"dropout": 2}}""");
        Assert.Equal(3,
            Assert.Throws<InputException>(
                () => MlxFolder.ToPeft(folder["mlx"], folder["model"], folder["out"])).Problems.Count);
    }
}
