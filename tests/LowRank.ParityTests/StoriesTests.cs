using System.Text.Json;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Tokenizers;

namespace LowRank.ParityTests;

/// <summary>A trained checkpoint of the real world, where it is at hand: stories260K (TinyStories) as a Hugging Face
/// folder, in the folder that LOWRANK_ASSETS names or in <c>../shared/assets</c> beside the repository.</summary>
public sealed class StoriesTests
{
    [Fact]
    public void A_trained_checkpoint_writes_the_references_stories_token_for_token()
    {
        string? folder = Folder();
        Assert.SkipWhen(folder is null, "stories260K is not at hand: set LOWRANK_ASSETS to a folder that holds it.");
        using PretrainedModel model = PretrainedModel.Open(folder!);
        Tokenizer tokenizer = Tokenizer.Load(folder!);
        JsonElement[] cases =
            [.. JsonDocument.Parse(
                File.ReadAllText(Path.Combine(folder!, "greedy.json"))).RootElement.EnumerateArray()];
        Assert.NotEmpty(cases);
        foreach (JsonElement expected in cases)
        {
            int[] prompt = tokenizer.Encode(expected.GetProperty("prompt").GetString()!);
            int[] ids = [.. expected.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            Assert.Equal(prompt, ids[..prompt.Length]);
            var options = new GenerationOptions { MaxNewTokens = ids.Length - prompt.Length };
            IReadOnlyList<int> made = new TextGenerator(model.Decoder).Generate([prompt], options)[0];
            Assert.Equal(ids[prompt.Length..], made);
            Assert.Equal(expected.GetProperty("text").GetString(), tokenizer.Decode(ids, skipSpecialTokens: true));
        }
    }

    /// <summary>The folder; null where it is not at hand.</summary>
    internal static string? Folder()
    {
        string? assets = Environment.GetEnvironmentVariable("LOWRANK_ASSETS");
        DirectoryInfo? root = new(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "LowRank.slnx"))) root = root.Parent;
        assets ??= root is null ? null : Path.Combine(root.FullName, "..", "shared", "assets");
        string? folder = assets is null ? null : Path.Combine(assets, "stories260K");
        return Directory.Exists(folder) ? folder : null;
    }
}
