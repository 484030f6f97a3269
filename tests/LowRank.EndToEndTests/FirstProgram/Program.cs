// What a user writes first: adapts the embedded base for a few steps and prints what it says then.
using LowRank;
using LowRank.Adapters;
using LowRank.IO;

await using LanguageModel model = await LanguageModel.LoadEmbeddedAsync();
var lora = new LoraConfig { Rank = 16, Alpha = 32, TargetModules = ModuleSelection.AllLinear };
var training = new TrainingOptions { Steps = 5, BatchSize = 8, LearningRate = 5e-3, OutputFolder = "hotels" };
await model.AdaptAsync(EmbeddedFiles.TrainingRows, lora, training);
Console.Write("said: ");
await foreach (string piece in model.GenerateAsync("name: The Blue Lamp | type: hotel | area: old town | price: 85\n"))
    Console.Write(piece);
