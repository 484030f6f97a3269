// Finds a hotel for a guest's wishes and writes about it: dotnet run --project samples/rag [STEPS [FOLDER]].
// One base in memory, two adapters on it: one tuned to find records, one to write from them.
using System.Globalization;
using System.Text.Json;
using LowRank;
using LowRank.Adapters;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

const int Batch = 16;
int steps = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 40;
string output = args.Length > 1 ? args[1] : "runs/rag";
(string Record, string Words, string Wishes)[] known = [.. Read("samples/hotels/train.jsonl").Take(steps * Batch)],
    hotels = [.. Read("samples/hotels/test.jsonl").Take(100)];

await using (LanguageModel model = await LanguageModel.LoadAsync("models/base"))
{
    var lora = new LoraConfig { Rank = 8, Alpha = 16, TargetModules = ModuleSelection.AllLinear };
    var training = new TrainingOptions { Steps = steps, BatchSize = Batch, LearningRate = 5e-3 };
    Dataset pairs = Dataset.From(known.Select(hotel => new { text = hotel.Wishes, positive = hotel.Record }));
    await Tune(model, pairs, lora, training with { Task = TaskOptions.Embedding }, "search");
    Dataset talks = Dataset.From(known.Select(hotel => new
    {
        messages = new[]
        {
            new { role = "user", content = hotel.Record }, new { role = "assistant", content = hotel.Words },
        },
    }));
    await Tune(model, talks, lora, training, "writer");
}

await using ServiceProvider services = new ServiceCollection().AddLowRank("models/base", options => options
    .AddAdapter("search", Path.Combine(output, "search")).AddAdapter("writer", Path.Combine(output, "writer")))
    .BuildServiceProvider();
foreach (string name in new[] { "base", "search" })
{
    Embedding<float>[] records = await Embed(name, hotels.Select(hotel => hotel.Record)),
        wishes = await Embed(name, hotels.Select(hotel => hotel.Wishes));
    int right = wishes.Index().Count(wish => Nearest(wish.Item, records) == wish.Index);
    Console.WriteLine($"{name}: finds {right} of {hotels.Length} hotels by their guests' wishes");
    if (name == "base") continue;

    Console.WriteLine($"\nA guest: {hotels[0].Wishes}");
    string found = hotels[Nearest(wishes[0], records)].Record;
    IChatClient writer = services.GetRequiredKeyedService<IChatClient>("writer");
    await foreach (ChatResponseUpdate update in writer.GetStreamingResponseAsync(
        found, new ChatOptions { MaxOutputTokens = 80 }))
        Console.Write(update.Text);
    Console.WriteLine();
}

async Task Tune(LanguageModel model, Dataset rows, LoraConfig lora, TrainingOptions training, string name)
{
    AdaptationResult result = await model.AdaptAsync(rows, lora, training);
    Console.WriteLine($"{name}: loss {result.Losses[0]:f2} to {result.Loss:f2} in {result.Elapsed:mm\\:ss}");
    await result.Adapter.SaveAsync(Path.Combine(output, name));
    await model.UseAdapterAsync(null);
}

async Task<Embedding<float>[]> Embed(string name, IEnumerable<string> texts) => [.. await services
    .GetRequiredKeyedService<IEmbeddingGenerator<string, Embedding<float>>>(name).GenerateAsync(texts)];

// Vectors have length 1, so the dot product is the cosine.
static int Nearest(Embedding<float> wish, Embedding<float>[] records) => records.Index().MaxBy(record =>
    record.Item.Vector.ToArray().Zip(wish.Vector.ToArray(), (a, b) => (double)a * b).Sum()).Index;

static IEnumerable<(string Record, string Words, string Wishes)> Read(string file) =>
    File.ReadLines(file).Select(line =>
{
    JsonElement row = JsonElement.Parse(line);
    IEnumerable<string?> facts = row.GetProperty("facts").EnumerateArray().Skip(1).Select(fact => fact.GetString());
    return (row.GetProperty("prompt").GetString()!.Trim(), row.GetProperty("completion").GetString()!,
        string.Join(", ", facts));
});
