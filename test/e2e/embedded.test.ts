import { stories } from "./stories.ts";

stories("the embedded SPIRE Server", undefined);
