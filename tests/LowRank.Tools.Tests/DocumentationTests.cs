using System.Text.RegularExpressions;
using LowRank.Recipes;
using LowRank.Hotels;

namespace LowRank.Tools.Tests;

public sealed partial class DocumentationTests
{
    [Fact]
    public void The_README_shows_the_library_sample_as_it_is()
    {
        Match block = CSharpBlock().Match(RepositoryFiles.Read("README.md"));
        Assert.Equal(RepositoryFiles.Read("samples/library/Program.cs"), block.Groups["code"].Value);
    }

    [Theory]
    [InlineData("recipes/quickstart.yaml")]
    [InlineData("recipes/quickstart-full.yaml")]
    [InlineData("models/base/pretrain.yaml")]
    public void The_recipes_of_the_repository_load(string path) =>
        Assert.NotEmpty(Recipe.Load(Path.Combine(RepositoryFiles.Root, path)).Data.Train);

    [Fact]
    public void Files_that_the_README_links_to_exist()
    {
        foreach (Match link in Link().Matches(RepositoryFiles.Read("README.md")))
            Assert.True(Path.Exists(Path.Combine(RepositoryFiles.Root, link.Groups[1].Value)), link.Value);
    }

    [Fact]
    public void The_hotel_files_are_what_their_generator_writes()
    {
        foreach ((string name, IReadOnlyList<string> lines) in HotelTask.Files())
            Assert.Equal(string.Concat(lines.Select(line => line + "\n")),
                RepositoryFiles.Read($"samples/hotels/{name}"));
    }

    [Fact]
    public void Held_out_hotels_share_no_name_and_no_area_with_price_with_the_training_file()
    {
        (HashSet<string> names, HashSet<string> places) = Pairs("train.jsonl");
        foreach (string file in new[] { "validation.jsonl", "test.jsonl" })
        {
            (HashSet<string> heldNames, HashSet<string> heldPlaces) = Pairs(file);
            Assert.NotEmpty(heldNames);
            Assert.Empty(names.Intersect(heldNames));
            Assert.Empty(places.Intersect(heldPlaces));
        }
    }

    private static (HashSet<string> Names, HashSet<string> Places) Pairs(string file)
    {
        string text = RepositoryFiles.Read($"samples/hotels/{file}");
        HashSet<string> names = [.. Name().Matches(text).Select(match => match.Groups[1].Value)];
        HashSet<string> places = [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => Area().Match(line).Groups["area"].Value + "/" + Price().Match(line).Groups["price"].Value)];
        return (names, places);
    }

    [GeneratedRegex("```csharp\n(?<code>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex CSharpBlock();

    [GeneratedRegex(@"\]\(([^)#:]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex("name: (The [A-Za-z]+ [A-Za-z]+)")]
    private static partial Regex Name();

    [GeneratedRegex("area: (?<area>[a-z ]+?)(?: \\||\\\\n)", RegexOptions.ExplicitCapture)]
    private static partial Regex Area();

    [GeneratedRegex("price: (?<price>[0-9]+)", RegexOptions.ExplicitCapture)]
    private static partial Regex Price();
}
