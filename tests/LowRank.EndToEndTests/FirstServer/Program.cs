using System.Net.Http.Json;
using System.Text.Json;
using LowRank;
using LowRank.Server;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

await using LowRankServer server = await LowRankServer.StartAsync(new ServerOptions("embedded") { Port = 0 });
await server.Loading;
using var client = new HttpClient { BaseAddress = server.Address };
using HttpResponseMessage answer = await client.PostAsJsonAsync("v1/completions", new
{
    prompt = "The", max_tokens = 8, temperature = 0,
});
JsonElement written = await answer.Content.ReadFromJsonAsync<JsonElement>();
Console.WriteLine($"served: {written.GetProperty("choices")[0].GetProperty("text")}");

await using ServiceProvider services = new ServiceCollection().AddLowRank("embedded").BuildServiceProvider();
var generator = services.GetRequiredService<IEmbeddingGenerator<string, Embedding<float>>>();
Console.WriteLine($"embedded: {(await generator.GenerateAsync("The")).Vector.Length}");
