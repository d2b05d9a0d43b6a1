-- What `lockstep check` asks for: the log must hold what an invoice and a line belonged to before a change.
ALTER TABLE "public"."invoice" REPLICA IDENTITY FULL;
ALTER TABLE "public"."invoice_line" REPLICA IDENTITY FULL;
